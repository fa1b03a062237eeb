import GraftCore
import GraftFormats
import TestSupport
import Testing

struct DecimalFloatTests {
  static func parse(_ text: String) -> Float? {
    let bytes = Array(text.utf8)
    return DecimalFloat.parse(bytes.span, bytes.indices)
  }

  /// The quick way: a value only where the number ends with the text.
  static func scan(_ text: String) -> Float? {
    let bytes = Array(text.utf8) + [UInt8](repeating: 0, count: DecimalFloat.scanPadding)
    var value: Float = 0
    let end = DecimalFloat.scan(bytes.span, from: 0, into: &value)
    return end == text.utf8.count ? value : nil
  }

  /// Compares the quick way with the slow one; returns whether it had a value.
  static func compare(_ text: String) -> Bool {
    guard let quick = scan(text) else { return false }
    #expect(quick.bitPattern == parse(text)?.bitPattern, "\(text)")
    return true
  }

  @Test func `rounds as exact arithmetic does`() throws {
    let rows = try JSONValue.parse(
      Repository.bytes("Fixtures/golden/word-vectors/decimals.json"), file: "decimals.json")
    var quick = 0
    for row in try #require(rows.array) {
      let text = try #require(row[0]?.string)
      #expect(Self.parse(text)?.bitPattern == row[1]?.int.map { UInt32($0) }, "\(text)")
      quick += Self.compare(text) ? 1 : 0
    }
    #expect(quick > 200)
    #expect(rows.array?.count == 1221)
  }

  @Test(arguments: [
    "", "+", "-", ".", "e1", "1e", "1e+", "1e1.5", "nan", "inf", "0x1", " 1", "1 ", "1,5", "١",
  ])
  func `refuses what is no decimal number`(text: String) {
    #expect(Self.parse(text) == nil)
    #expect(Self.scan(text) == nil)
  }

  @Test func `the quick way is the slow way for numbers of every length and exponent`() {
    var random = SystemRandomNumberGenerator()
    func digits(_ count: Int) -> String {
      String((0..<count).map { _ in "0123456789".randomElement(using: &random) ?? "0" })
    }
    var quick = 0
    var count = 0
    for whole in 0...12 {
      for fraction in 0...20 where whole + fraction > 0 {
        for exponent in ["", "e-3", "E+5", "e-21", "e0012", "e-30", "e37", "e-45", "e99999"] {
          for sign in ["", "-", "+"] {
            let point = fraction > 0 ? "." + digits(fraction) : ["", "."].randomElement() ?? ""
            quick += Self.compare(sign + digits(whole) + point + exponent) ? 1 : 0
            count += 1
          }
        }
      }
    }
    // What vectors are made of is read the quick way.
    #expect(quick > count / 4)
  }

  @Test func `midpoints of floats and their neighbours are read as exactly as all others`() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      let low = Float(bitPattern: UInt32.random(in: 0x3000_0000..<0x4F00_0000, using: &random))
      let middle = (Double(low) + Double(low.nextUp)) / 2
      for value in [middle, middle.nextUp, middle.nextDown, middle.nextUp.nextUp] {
        _ = Self.compare(value.description)
      }
    }
  }

  @Test func `every float survives its shortest spelling`() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<100_000 {
      let value = Float(bitPattern: UInt32.random(in: .min ... .max, using: &random))
      guard value.isFinite else { continue }
      #expect(Self.parse(value.description)?.bitPattern == value.bitPattern)
      _ = Self.compare(value.description)
    }
  }
}
