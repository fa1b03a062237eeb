import Foundation
import Graft
import TestSupport
import Testing

@Suite struct `Repairing a shard index` {
  private let workspace = TemporaryFolder()
  private let index = "model.safetensors.index.json"

  /// A sharded copy of a golden model, and the names of its shards.
  private func sharded(_ family: String = "llama-tied") throws -> (path: String, shards: [String]) {
    let path = workspace("model")
    _ = try convert(
      OpenedCheckpoint(path: golden("families/" + family)), to: path,
      options: ConversionOptions(form: .directory(maximumShardByteCount: 12_000)))
    return (path, try workspace.names(in: path).filter { $0.hasSuffix(".safetensors") })
  }

  private func change(
    _ path: String, _ edit: (inout [String: Any], inout [String: Any]) throws -> Void
  ) throws {
    let url = URL(filePath: path + "/" + index)
    var json = try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    var metadata = try #require(json["metadata"] as? [String: Any])
    var map = try #require(json["weight_map"] as? [String: Any])
    try edit(&metadata, &map)
    (json["metadata"], json["weight_map"]) = (metadata, map)
    try JSONSerialization.data(withJSONObject: json).write(to: url)
  }

  /// The problems that `verify` lists, each with the tensor.
  private func problems(_ path: String) throws -> [String] {
    try verify(path).defects.map { ($0.tensor.map { "\($0): " } ?? "") + $0.problem }
  }

  /// Repairs, and compares the outcome with the model that was damaged.
  private func repaired(_ path: String, _ family: String = "llama-tied") throws -> RepairReport {
    let before = try contents(of: path)
    let report = try repair(path, to: workspace("repaired"))
    #expect(try contents(of: path) == before)
    #expect(report.output == workspace("repaired"))
    #expect(try verify(workspace("repaired")).defects == [])
    let model = try OpenedCheckpoint(path: golden("families/" + family))
    let result = try diff(model, OpenedCheckpoint(path: workspace("repaired")))
    #expect(result.isWithinTolerance)
    return report
  }

  private func contents(of directory: String) throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for name in try workspace.names(in: directory) {
      contents[name] = try Data(contentsOf: URL(filePath: directory + "/" + name))
    }
    return contents
  }

  @Test func `writes nothing where nothing is wrong`() throws {
    let (path, shards) = try sharded()
    #expect(shards.count > 2)
    let report = try repair(path, to: workspace("repaired"))
    #expect(report.output == nil)
    #expect(report.faults == [])
    #expect(!FileManager.default.fileExists(atPath: workspace("repaired")))
  }

  @Test func `makes an index that is missing`() throws {
    let (path, shards) = try sharded()
    try FileManager.default.removeItem(atPath: path + "/" + index)
    #expect(try problems(path) == ["no index, expected one of \(shards.count) shards"])
    let report = try repaired(path)
    #expect(report.shards == shards)
    let made = try Data(contentsOf: URL(filePath: workspace("repaired/" + index)))
    let (again, _) = (try sharded().path, 0)
    #expect(try made == Data(contentsOf: URL(filePath: again + "/" + index)))
  }

  @Test func `names what stays behind`() throws {
    let (path, _) = try sharded()
    try FileManager.default.removeItem(atPath: path + "/" + index)
    for name in [".hidden", "pytorch_model.bin", "training_log.jsonl"] {
      try AtomicFile.write(Array("x".utf8), to: path + "/" + name)
    }
    let report = try repaired(path)
    let left = ["training_log.jsonl", ".hidden", "pytorch_model.bin"]
    #expect(report.others == left)
    #expect(report.strangers.isEmpty)
    #expect(report.json["leftOut"]?.array?.map(\.string) == left)
    for name in left {
      #expect(!FileManager.default.fileExists(atPath: workspace("repaired/" + name)))
    }
  }

  @Test func `makes an index that can't be read`() throws {
    let (path, _) = try sharded()
    try Data("{\"weight_map\": ".utf8).write(to: URL(filePath: path + "/" + index))
    #expect(try problems(path).count == 1)
    #expect(try repaired(path).faults.count == 1)
  }

  @Test func `puts right what an index says wrongly, and names it`() throws {
    let (path, shards) = try sharded()
    try change(path) { metadata, map in
      metadata["total_size"] = 1
      map["model.norm.weight"] = nil
      map["model.layers.0.mlp.up_proj.weight"] = shards[shards.count - 1]
    }
    let found = try problems(path)
    #expect(found.count == 3)
    #expect(
      found.contains {
        $0.hasPrefix("model.norm.weight: not in the index, found in model-0000")
      })
    #expect(
      found.contains {
        $0.hasPrefix("model.layers.0.mlp.up_proj.weight: expected in \(shards[shards.count - 1])")
      })
    #expect(found.contains { $0.hasPrefix("total_size is 1 bytes, expected ") })
    #expect(try repaired(path).faults.count == 3)
  }

  @Test func `leaves a tensor out where it stands twice with the same values`() throws {
    let (path, shards) = try sharded()
    // The first shard once more, as a further shard of the series: every tensor of it stands twice.
    let count = shards.count + 1
    func name(_ number: Int) -> String {
      String(format: "model-%05d-of-%05d.safetensors", number, count)
    }
    for (number, shard) in shards.enumerated() {
      try FileManager.default.moveItem(
        atPath: path + "/" + shard, toPath: path + "/" + name(number + 1))
    }
    try FileManager.default.copyItem(
      atPath: path + "/" + name(1), toPath: path + "/" + name(count))
    try FileManager.default.removeItem(atPath: path + "/" + index)
    let twice = try OpenedCheckpoint(path: path + "/" + name(1)).reader.tensors.count
    let report = try repaired(path)
    #expect(report.faults.count == twice + 1)
    #expect(report.faults.count { $0.problem.hasSuffix("with the same values") } == twice)
  }

  @Test func `refuses two tensors of one name with other values`() throws {
    let (path, shards) = try sharded()
    let name = "model-00001-of-00002.safetensors"
    for shard in shards.dropFirst(2) {
      try FileManager.default.removeItem(atPath: path + "/" + shard)
    }
    try FileManager.default.removeItem(atPath: path + "/" + index)
    try FileManager.default.moveItem(atPath: path + "/" + shards[0], toPath: path + "/" + name)
    let other = path + "/model-00002-of-00002.safetensors"
    try FileManager.default.removeItem(atPath: path + "/" + shards[1])
    try FileManager.default.copyItem(atPath: path + "/" + name, toPath: other)
    var data = try Data(contentsOf: URL(filePath: other))
    data[data.count - 1] ^= 1
    try data.write(to: URL(filePath: other))
    let error = #expect(throws: StorageError.self) {
      try repair(path, to: workspace("repaired"))
    }
    #expect(error?.file == other)
    #expect(error?.description.contains("nothing tells which one is meant") == true)
    #expect(!FileManager.default.fileExists(atPath: workspace("repaired")))
  }

  @Test func `drops a name of a tied tensor that no shard holds, and records the tie`() throws {
    let (path, _) = try sharded()
    try change(path) { _, map in
      map["lm_head.weight"] = map["model.embed_tokens.weight"]
    }
    let report = try repaired(path)
    #expect(report.ties.map(\.left) == ["lm_head.weight"])
    #expect(report.ties.map(\.kept) == ["model.embed_tokens.weight"])
    let opened = try ShardIndex(path: workspace("repaired/" + index))
    #expect(opened.ties.map(\.left) == ["lm_head.weight"])
    #expect(opened.ties.map(\.kept) == ["model.embed_tokens.weight"])
  }

  @Test func `refuses a tensor that no shard holds`() throws {
    let (path, shards) = try sharded()
    try change(path) { _, map in map["model.lost.weight"] = shards[0] }
    #expect(
      try problems(path) == ["model.lost.weight: in the index and in no shard (shard-index I-8)"])
    let error = #expect(throws: StorageError.self) {
      try repair(path, to: workspace("repaired"))
    }
    #expect(error?.tensor == "model.lost.weight")
    #expect(error?.diagnosis.kind == .badInput)
  }

  @Test func `refuses shards that are missing or cut, and names every one`() throws {
    let (path, shards) = try sharded()
    try FileManager.default.removeItem(atPath: path + "/" + shards[1])
    let cut = URL(filePath: path + "/" + shards[2])
    try Data(contentsOf: cut).dropLast(3).write(to: cut)
    let found = try verify(path).defects
    #expect(found.map(\.file) == [shards[1], shards[2]].map { path + "/" + $0 })
    #expect(found[0].problem.hasPrefix("no such file, expected "))
    #expect(found[1].problem.hasPrefix("the file ends inside its data (safetensors S-13)"))
    let error = #expect(throws: StorageError.self) {
      try repair(path, to: workspace("repaired"))
    }
    #expect(error?.file == path + "/" + shards[1])
    #expect(error?.description.contains("1 more loss in") == true)
    try FileManager.default.removeItem(atPath: path + "/" + shards[0])
    let again = #expect(throws: StorageError.self) { try repair(path, to: workspace("repaired")) }
    #expect(again?.description.contains("2 more losses in") == true)
  }

  @Test(arguments: ["", "/pytorch_model.bin.index.json"])
  func `says that PyTorch's shards aren't repaired`(name: String) throws {
    _ = try convert(
      OpenedCheckpoint(path: golden("families/llama-tied")), to: workspace("torch"),
      options: ConversionOptions(form: .pyTorchDirectory(maximumShardByteCount: 12_000)))
    let path = workspace("torch") + name
    let error = #expect(throws: StorageError.self) { try repair(path, to: workspace("repaired")) }
    #expect(
      error?.reason == .unsupported(feature: "checkpoint to repair", found: "PyTorch's shards"))
    #expect(error?.file == path)
    #expect(error?.remedy?.contains("shards of safetensors") == true)
  }

  @Test func `leaves files of another save out`() throws {
    let (path, shards) = try sharded()
    try FileManager.default.copyItem(
      atPath: path + "/" + shards[0], toPath: path + "/model-00077-of-00099.safetensors")
    try change(path) { metadata, _ in metadata["total_size"] = 5 }
    let report = try repaired(path)
    #expect(report.strangers == ["model-00077-of-00099.safetensors"])
    #expect(
      try !workspace.names(in: workspace("repaired")).contains("model-00077-of-00099.safetensors"))
  }

  @Test func `gives up an index that an earlier save left beside one file`() throws {
    let (path, shards) = try sharded()
    for shard in shards { try FileManager.default.removeItem(atPath: path + "/" + shard) }
    try FileManager.default.copyItem(
      atPath: golden("families/llama-tied/model.safetensors"),
      toPath: path + "/model.safetensors")
    let report = try repaired(path)
    #expect(
      report.faults.map(\.problem) == [
        "names \(shards[0]), which isn't there; \(shards.count) files missing of \(shards.count)"
      ])
    #expect(try !workspace.names(in: workspace("repaired")).contains(index))
  }

  @Test func `refuses to write over what it repairs`() throws {
    let (path, _) = try sharded()
    try change(path) { metadata, _ in metadata["total_size"] = 5 }
    let before = try contents(of: path)
    #expect(throws: StorageError.self) { try repair(path, to: path) }
    #expect(try contents(of: path) == before)
  }

  @Test func `refuses what isn't a sharded checkpoint`() throws {
    let file = golden("families/llama-tied/model.safetensors")
    #expect(throws: StorageError.self) { try repair(file, to: workspace("repaired")) }
  }
}
