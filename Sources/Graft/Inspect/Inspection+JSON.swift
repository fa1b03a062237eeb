public import GraftCore

extension Inspection {
  /// The inspection as JSON.
  public var json: JSONValue {
    var members: [(key: String, value: JSONValue)] = [
      ("path", .string(path)),
      ("format", .string(format.rawValue)),
      ("kind", .string(kind.rawValue)),
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
    if let adapter { members.append(("adapter", adapter.json)) }
    members += [
      ("tensors", .array(tensors.map(\.json))),
      (
        "files",
        .array(files.map { ["name": .string($0.name), "byteCount": JSONValue($0.byteCount)] })
      ),
      (
        "metadata",
        .object(
          JSONObject(members: metadata.map { (key: $0.key, value: .string($0.value)) }))
      ),
    ]
    return .object(JSONObject(members: members))
  }
}

extension Inspection.Place {
  var json: JSONValue {
    [
      "name": .string(info.name.text),
      "dtype": .string(info.dtype.rawValue),
      "shape": .array(info.shape.dimensions.map { JSONValue($0) }),
      "byteCount": JSONValue(info.byteCount),
      "file": .string(file),
      "offset": offset.map { JSONValue($0) } ?? .null,
    ]
  }
}

extension Inspection.AdapterFacts {
  var json: JSONValue {
    [
      "rank": JSONValue(rank),
      "alpha": JSONValue(alpha),
      "scaling": JSONValue(scaling),
      "base": base.map { .string($0) } ?? .null,
      "modules": .array(modules.map { .string($0) }),
    ]
  }
}
