internal import GraftCore

extension Inspection {
  /// The inspection as JSON text.
  public var jsonText: [UInt8] {
    var text: [UInt8] = []
    writeJSON { text += $0 }
    return text
  }

  /// Writes the inspection as JSON text, in pieces, each tensor and each entry of metadata on a line of its own.
  public func writeJSON(to write: ([UInt8]) throws -> Void) rethrows {
    var writer = JSONWriter()
    writer.open(.object)
    for (key, value) in facts { writer.member(key, value) }
    writer.key("tensors")
    writer.open(.array)
    var row = TensorRow()
    for place in tensors {
      writer.spelled { row.append(place, to: &$0) }
      if writer.bytes.count >= Self.pieceBytes { try write(writer.take()) }
    }
    writer.close()
    let listed = weightFiles + files
    writer.member(
      "files",
      .array(listed.map { ["name": .string($0.name), "byteCount": JSONValue($0.byteCount)] }))
    writer.key("metadata")
    writer.open(.object)
    for entry in metadata {
      writer.member(entry.key, .string(entry.value))
      if writer.bytes.count >= Self.pieceBytes { try write(writer.take()) }
    }
    writer.close()
    writer.close()
    try write(writer.take())
  }

  private static var pieceBytes: Int { 1 << 16 }

  /// What comes before the tensors.
  private var facts: [(key: String, value: JSONValue)] {
    var members: [(key: String, value: JSONValue)] = [
      ("path", .string(path)),
      ("format", .string(format.rawValue)),
      ("kind", .string(kind.rawValue)),
      ("layout", layout.map { .string($0.rawValue) } ?? .null),
      ("architecture", architecture.map { .string($0) } ?? .null),
      ("parameterCount", JSONValue(parameterCount)),
      ("byteCount", JSONValue(byteCount)),
      (
        "bytesByDType",
        .object(
          JSONObject(
            members: bytesByDType.map { (key: $0.dtype.rawValue, value: JSONValue($0.byteCount)) }))
      ),
      ("ties", .array(ties.map { .array($0.map { .string($0.text) }) })),
    ]
    if !unreadable.isEmpty {
      members.append(
        (
          "unreadable",
          .array(unreadable.map { ["name": .string($0.name.text), "kind": .string($0.kind)] })
        ))
    }
    if let adapter { members.append(("adapter", adapter.json)) }
    if let quantization { members.append(("quantization", quantization.json)) }
    return members
  }
}

/// Spells a tensor's JSON object; what tensors have in common is spelled once for several.
private struct TensorRow {
  /// What stands between a name and an offset.
  private struct Middle {
    let dtype: DType
    let shape: Shape
    let file: String
    let text: [UInt8]
  }

  private var known: [Middle] = []
  private var oldest = 0

  /// Layers have about a dozen kinds of tensors.
  private static let capacity = 16

  mutating func append(_ place: Inspection.Place, to bytes: inout [UInt8]) {
    bytes.append(text: "{\"name\": ")
    bytes.append(quoted: place.info.name)
    bytes.append(contentsOf: middle(of: place))
    if let offset = place.offset {
      bytes.append(decimal: offset)
    } else {
      bytes.append(text: "null")
    }
    bytes.append(0x7D)
  }

  private mutating func middle(of place: Inspection.Place) -> [UInt8] {
    for middle in known
    where middle.dtype == place.info.dtype && middle.shape == place.info.shape
      && middle.file == place.file
    {
      return middle.text
    }
    var text: [UInt8] = []
    text.append(text: ", \"dtype\": \"")
    text.append(contentsOf: place.info.dtype.rawValue.utf8)
    text.append(text: "\", \"shape\": [")
    for (position, extent) in place.info.shape.dimensions.enumerated() {
      if position > 0 { text.append(text: ", ") }
      text.append(decimal: extent)
    }
    text.append(text: "], \"byteCount\": ")
    text.append(decimal: place.info.byteCount)
    text.append(text: ", \"file\": ")
    text.append(quoted: place.file)
    text.append(text: ", \"offset\": ")
    let middle = Middle(
      dtype: place.info.dtype, shape: place.info.shape, file: place.file, text: text)
    if known.count < Self.capacity {
      known.append(middle)
    } else {
      known[oldest] = middle
      oldest = (oldest + 1) % Self.capacity
    }
    return text
  }
}

extension Inspection.AdapterFacts {
  var json: JSONValue {
    [
      "method": .string(method),
      "tool": tool.map { .string($0) } ?? .null,
      "rank": rank.map { JSONValue($0) } ?? .null,
      "alpha": alpha.map { JSONValue($0) } ?? .null,
      "scaling": scaling.map { JSONValue($0) } ?? .null,
      "ranks": .array(
        ranks.map { ["rank": JSONValue($0.rank), "moduleCount": JSONValue($0.moduleCount)] }),
      "base": base.map { .string($0) } ?? .null,
      "modules": .array(modules.map { .string($0) }),
    ]
  }
}

extension Inspection.Quantization {
  var json: JSONValue {
    [
      "bits": JSONValue(bits), "groupSize": JSONValue(groupSize), "mode": .string(mode),
      "moduleCount": JSONValue(moduleCount),
    ]
  }
}
