extension Mutator {
  private static let magic = Array("\u{93}NUMPY".unicodeScalars.map { UInt8($0.value) })

  /// Changes the header of a NumPy array, writes its new length before it, and lets the data be as long as type and shape say; of an
  /// archive, changes a member.
  mutating func arrayMutant(of bytes: [UInt8]) -> [UInt8] {
    if bytes.starts(with: "PK".utf8) { return archiveMutant(of: bytes) }
    guard bytes.starts(with: Self.magic), bytes.count > 12 else {
      return generalMutant(of: bytes, atMost: maximum)
    }
    let width = bytes[6] == 1 ? 2 : 4
    let start = 8 + width
    let declared = bytes[8..<start].number
    guard declared <= bytes.count - start else { return numberMutant(of: bytes) }
    let header = textMutant(of: Array(bytes[start..<start + declared]))
    var data = Array(bytes[(start + declared)...])
    if next(4) > 0, let size = dataSize(of: header), (0...1 << 15).contains(size) {
      data = (0..<size).map { $0 < data.count ? data[$0] : UInt8(truncatingIfNeeded: $0) }
    }
    return Array(bytes[..<8]) + header.count.littleEndian(width) + header + data
  }

  /// The product of the numbers in the header's parentheses, and of the one behind a type's letter.
  private func dataSize(of header: [UInt8]) -> Int? {
    let text = String(decoding: header, as: UTF8.self)
    guard let shape = text.split(separator: "(").last?.split(separator: ")").first,
      let type = text.first(where: { "<>|".contains($0) }).flatMap({ text.firstIndex(of: $0) })
    else { return nil }
    let width = text[type...].dropFirst(2).prefix { $0.isNumber }
    var size = Int(width) ?? 1
    for extent in shape.split(separator: ",") {
      guard let extent = Int(extent.drop { $0 == " " }) else { continue }
      let (product, overflow) = size.multipliedReportingOverflow(by: extent)
      guard !overflow else { return nil }
      size = product
    }
    return size
  }
}
