import Foundation
import TestSupport
import Testing

@Suite struct `Reporting verbs` {
  private let scratch = TemporaryFolder()

  @Test func `JSON has nothing in it that a terminal follows, and the same values`() throws {
    let hidden: [Unicode.Scalar] = [
      "\u{7F}", "\u{80}", "\u{9B}", "\u{9F}", "\u{61C}", "\u{200E}", "\u{200F}", "\u{202A}",
      "\u{202E}", "\u{2066}", "\u{2069}",
    ]
    let odd = "é" + String(String.UnicodeScalarView(hidden)) + "\u{A0}漢"
    let shown =
      #"é\u007f\u0080\u009b\u009f\u061c\u200e\u200f\u202a\u202e\u2066\u2069"# + "\u{A0}漢"
    // Longer than what is printed at once.
    let long = String(repeating: "é\u{9B}漢", count: 30_000)
    let members: [String: Any] = [
      odd: ["dtype": "F32", "shape": [1], "data_offsets": [0, 4]] as [String: Any],
      "__metadata__": [odd: odd, "long": long],
    ]
    let header = try JSONSerialization.data(withJSONObject: members)
    let size = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    let path = scratch(odd)
    try Data(size + Array(header) + [0, 0, 0, 0]).write(to: scratch.url(odd))
    for arguments in [["inspect", path], ["verify", path], ["diff", path, path]] {
      let outcome = try Graft.run(arguments + ["--json", "--quiet"])
      #expect(outcome.status == 0, "\(outcome.error)")
      #expect(!outcome.output.unicodeScalars.contains { hidden.contains($0) }, "\(arguments[0])")
      let json = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
      guard arguments[0] == "inspect" else { continue }
      let object = try #require(json as? [String: Any])
      #expect(object["path"] as? String == path)
      #expect(object["metadata"] as? [String: String] == [odd: odd, "long": long])
      #expect(outcome.output.contains(#"{"name": ""# + shown + #"", "dtype": "F32", "#))
    }
  }

  @Test func `plan merge says what would be written, and writes nothing`() throws {
    let arguments = [
      "plan", "merge", "golden/families/llama-tied", "golden/lora/llama-tied", "--out",
      scratch("out"), "--threads", "1",
    ]
    let text = try Graft.run(arguments)
    #expect(text.status == 0)
    #expect(text.error == "")
    #expect(text.output.hasPrefix("merged    4 tensors: 2 × q_proj, 2 × v_proj\n"))
    let files = "model.safetensors, config.json, generation_config.json"
    #expect(text.output.contains("\n          into \(files)\n"))
    let outcome = try Graft.run(arguments + ["--json"])
    #expect(outcome.status == 0)
    let json = try #require(
      JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect(
      json.keys.sorted() == [
        "copiedCount", "losses", "memory", "notes", "reads", "tensors", "writes",
      ])
    let tensors = try #require(json["tensors"] as? [[String: Any]])
    #expect(tensors.map { $0["ranks"] as? [Int] } == Array(repeating: [8], count: 4))
    #expect(scratch.names == [])
    let wrong = try Graft.run(["plan", "merge", "golden/families/llama-tied"])
    #expect(wrong.status == 2)
  }

  @Test func `inspect shows a model with its layers folded`() throws {
    let outcome = try Graft.run("inspect", "model")
    #expect(outcome.status == 0)
    #expect(outcome.error == "")
    #expect(
      outcome.output == """
        format        safetensors, model
        architecture  LlamaForCausalLM
        parameters    1,369,728
        size          2.6 MiB, all BF16
        tied          model.embed_tokens.weight = lm_head.weight
        files         config.json, generation_config.json, tokenizer.json, tokenizer_config.json,
                      training_log.txt
        metadata      format: pt

        model                                                       2.6 MiB
        ├─ embed_tokens.weight                 BF16  [2048, 128]  512.0 KiB
        ├─ layers.{0…5}                                             2.1 MiB
        │  ├─ input_layernorm.weight           BF16  [128]          1.5 KiB  ×6
        │  ├─ mlp                                                   1.5 MiB
        │  │  ├─ down_proj.weight              BF16  [128, 352]   528.0 KiB  ×6
        │  │  ├─ gate_proj.weight              BF16  [352, 128]   528.0 KiB  ×6
        │  │  └─ up_proj.weight                BF16  [352, 128]   528.0 KiB  ×6
        │  ├─ post_attention_layernorm.weight  BF16  [128]          1.5 KiB  ×6
        │  └─ self_attn                                           576.0 KiB
        │     ├─ k_proj.weight                 BF16  [64, 128]     96.0 KiB  ×6
        │     ├─ o_proj.weight                 BF16  [128, 128]   192.0 KiB  ×6
        │     ├─ q_proj.weight                 BF16  [128, 128]   192.0 KiB  ×6
        │     └─ v_proj.weight                 BF16  [64, 128]     96.0 KiB  ×6
        └─ norm.weight                         BF16  [128]            256 B

        """)
  }

  @Test func `inspect shows an adapter's facts`() throws {
    let outcome = try Graft.run("inspect", "golden/lora/qwen3")
    #expect(outcome.status == 0)
    #expect(
      outcome.output == """
        format        safetensors, adapter
        parameters    2,560
        size          10.0 KiB, all F32
        adapter       PEFT LoRA, rank 8, alpha 32, scaling 4, 4 modules
        tool          peft 0.21.2
        base          ../../families/qwen3
        files         adapter_config.json
        metadata      format: pt

        base_model.model.model.layers.{0,1}.self_attn                10.0 KiB
        ├─ q_proj                                                     6.0 KiB
        │  ├─ lora_A.weight                            F32  [8, 32]   2.0 KiB  ×2
        │  └─ lora_B.weight                            F32  [64, 8]   4.0 KiB  ×2
        └─ v_proj                                                     4.0 KiB
           ├─ lora_A.weight                            F32  [8, 32]   2.0 KiB  ×2
           └─ lora_B.weight                            F32  [32, 8]   2.0 KiB  ×2

        """)
  }

  @Test func `inspect --json has the contract's keys`() throws {
    let outcome = try Graft.run("inspect", "model", "--json")
    let object = try #require(
      JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    let keys: Set = [
      "format", "kind", "architecture", "parameterCount", "byteCount", "tensors", "metadata",
    ]
    #expect(keys.isSubset(of: object.keys))
    let tensors = try #require(object["tensors"] as? [[String: Any]])
    #expect(tensors.count == 56)
    #expect(
      tensors.allSatisfy {
        Set($0.keys) == ["name", "dtype", "shape", "byteCount", "file", "offset"]
      })
  }

  @Test func `verify says what was checked`() throws {
    let outcome = try Graft.run("verify", "model", "--quiet")
    #expect(outcome.status == 0)
    #expect(outcome.error == "")
    #expect(
      outcome.output == """
        sound: 56 tensors, 2.6 MiB
          checked: structure
          checked: tensors and shapes against config.json
          checked: NaN and infinity in every element

        """)
  }

  @Test func `verify ends with 1 and the place of a defect`() throws {
    let path = scratch("model")
    try FileManager.default.copyItem(
      at: Graft.fixtures.appending(path: "model"), to: scratch.url("model"))
    let file = try FileHandle(forUpdating: scratch.url("model/model.safetensors"))
    // The first element of the embedding table, which stands right behind the header.
    try file.seek(toOffset: 6000)
    try file.write(contentsOf: [0xC0, 0x7F])
    try file.close()
    let outcome = try Graft.run("verify", path, "--quiet")
    #expect(outcome.status == 1)
    #expect(outcome.error == "")
    #expect(
      outcome.output == """
        \(path)/model.safetensors, tensor model.embed_tokens.weight, byte 6000: \
        1 NaN and 0 infinite of 262144 elements, the first at element 0
        1 defect

        """)
  }

  @Test func `verify finds every damaged safetensors vector`() throws {
    let folder = Graft.fixtures.deletingLastPathComponent().appending(
      path: "Formats/safetensors/reject")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    try #require(!names.isEmpty)
    for name in names.prefix(12) {
      let outcome = try Graft.run("verify", name, "--quiet", in: folder)
      #expect(outcome.status == 1 || outcome.status == 3, "\(name): \(outcome)")
      #expect(outcome.status == 3 ? outcome.output == "" : outcome.error == "", "\(name)")
    }
  }

  @Test func `diff is silent about what is equal`() throws {
    let outcome = try Graft.run("diff", "model", "model", "--quiet")
    #expect(outcome.status == 0)
    #expect(outcome.output == "56 tensors equal, 5 of 5 files equal\n")
  }

  @Test func `diff lists the worst first and ends with 1`() throws {
    let outcome = try Graft.run(
      "diff", "golden/families/llama-tied/model.safetensors",
      "golden/merge/llama-tied/merged.safetensors",
      "--quiet")
    #expect(outcome.status == 1)
    #expect(outcome.error == "")
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.first?.hasPrefix("tensor") == true)
    #expect(lines.last?.hasSuffix("4 differ") == true, "\(outcome.output)")
  }

  @Test func `diff prints an infinite difference, and null in JSON`() throws {
    let header = #"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    for (name, value) in [("a.safetensors", Float.infinity), ("b.safetensors", 2)] {
      var bytes = [UInt8(header.utf8.count), 0, 0, 0, 0, 0, 0, 0] + Array(header.utf8)
      for bits in [Float(1).bitPattern, value.bitPattern] {
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
      }
      try Data(bytes).write(to: scratch.url(name))
    }
    let arguments = ["diff", scratch("a.safetensors"), scratch("b.safetensors"), "--quiet"]
    let outcome = try Graft.run(arguments)
    #expect(outcome.status == 1)
    let row = outcome.output.split(separator: "\n").dropFirst().first?.split(separator: " ") ?? []
    #expect(
      row == [
        "w", "F32", "inf", "inf", "1.000000", "1", "NaN", "or", "infinite", "on", "one", "side",
      ]
    )
    let text = try Graft.run(arguments + ["--json"]).output
    let json = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    let tensor = try #require((json?["tensors"] as? [[String: Any]])?.first)
    #expect(tensor["maxAbs"] is NSNull)
    #expect(tensor["relativeError"] is NSNull)
    #expect(tensor["cosine"] as? Double == 1)
  }

  // MARK: - Repair and pages

  /// A model in three shards.
  private func sharded() throws -> String {
    let path = scratch("sharded")
    let made = try Graft.run("convert", "model", path, "--max-shard-size", "1MB", "--quiet")
    try #require(made.status == 0)
    return path
  }

  @Test func `verify --repair says what was wrong and where the repaired checkpoint is`() throws {
    let (path, out) = (try sharded(), scratch("repaired"))
    try FileManager.default.removeItem(atPath: path + "/model.safetensors.index.json")
    let outcome = try Graft.run("verify", path, "--repair", "--out", out, "--quiet")
    #expect(outcome.status == 0)
    #expect(outcome.error == "")
    #expect(
      outcome.output == """
        repaired: \(path)/model.safetensors.index.json: no index, expected one of 3 shards
        \(out): 56 tensors, 2.6 MiB in 3 files

        """)
    #expect(try Graft.run("diff", "model", out, "--quiet").status == 0)
    let again = try Graft.run("verify", out, "--repair", "--out", scratch("more"), "--quiet")
    #expect(again.output == "nothing to repair: 56 tensors, 2.6 MiB in 3 files\n")
    #expect(scratch.names == ["repaired", "sharded"])
  }

  @Test func `verify --repair refuses with 3, and leaves nothing`() throws {
    let path = try sharded()
    let lost = path + "/model-00002-of-00003.safetensors"
    try FileManager.default.removeItem(atPath: lost)
    let outcome = try Graft.run("verify", path, "--repair", "--out", scratch("out"), "--quiet")
    #expect(outcome.status == 3)
    #expect(outcome.output == "")
    #expect(
      outcome.error == """
        error: refused: a repair without all tensors
          \(lost), found no such file, expected 23 tensors (shard-index I-8)
          get the file again: what isn't there can't be repaired

        """)
    #expect(scratch.names == ["sharded"])
  }

  @Test(arguments: [
    (["verify", "model", "--repair"], "--repair needs --out: the input stays as it is"),
    (["verify", "model", "--out", "x"], "--out and --overwrite are for --repair"),
    (["inspect", "model", "--histograms"], "--histograms are drawn into --html"),
    (
      ["inspect", "model", "--html", "x", "--json"],
      "--html writes a page; --tensors and --json print"
    ),
  ])
  func `options without a meaning are refused`(arguments: [String], problem: String) throws {
    let outcome = try Graft.run(arguments)
    #expect(outcome.status == 2)
    #expect(outcome.error.hasPrefix("error: \(problem)\n"))
  }

  @Test func `inspect --html writes over pages only, and nothing where it fails`() throws {
    let page = scratch("page.html")
    let outcome = try Graft.run("inspect", "model", "--html", page)
    #expect(outcome.status == 0)
    #expect(outcome.output == "56 tensors: \(page)\n")
    try "notes".write(toFile: page, atomically: true, encoding: .utf8)
    for target in [page, scratch("no/page.html"), "/dev/full"] {
      let refused = try Graft.run("inspect", "model", "--html", target, "--histograms", "--quiet")
      #expect(refused.status == 4, "\(target)")
    }
    #expect(try String(contentsOfFile: page, encoding: .utf8) == "notes")
    #expect(scratch.names == ["page.html"])
  }

  @Test func `diff compares transposes where that is asked for`() throws {
    let flags = ["--quiet", "--transposed"]
    let outcome = try Graft.run(["diff", "model", "model"] + flags)
    #expect(outcome.status == 0)
    #expect(outcome.output == "56 tensors equal, 5 of 5 files equal\n")
  }

  @Test(arguments: ["safetensors", "gguf"])
  func `inspect takes little memory for a hundred thousand tensors`(format: String) throws {
    let path = scratch("many." + format)
    let header = format == "gguf" ? Self.manyInGGUF() : Self.manyInSafetensors()
    try Data(header.bytes).write(to: URL(filePath: path))
    let file = try FileHandle(forUpdating: URL(filePath: path))
    try file.truncate(atOffset: UInt64(header.bytes.count + header.dataBytes))
    try file.close()
    let outcome = try Graft.run("inspect", path, "--json")
    #expect(outcome.status == 0)
    #expect(
      outcome.output.split(separator: "\n").count { $0.hasPrefix("    {\"name\"") } == 100_000)
    #expect(outcome.peakBytes < 128 << 20, "\(outcome.peakBytes)")
    let tree = try Graft.run("inspect", path)
    #expect(
      tree.output.split(separator: "\n").last?.hasPrefix("layers.{0…99}.experts.{0…999}.w") == true)
  }

  private static func manyInSafetensors() -> (bytes: [UInt8], dataBytes: Int) {
    var text = "{"
    for index in 0..<100_000 {
      if index > 0 { text += "," }
      text +=
        "\"layers.\(index / 1000).experts.\(index % 1000).w\":{\"dtype\":\"U8\",\"shape\":[1],"
      text += "\"data_offsets\":[\(index),\(index + 1)]}"
    }
    let bytes = Array((text + "}").utf8)
    return ((0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> ($0 * 8)) } + bytes, 100_000)
  }

  private static func manyInGGUF() -> (bytes: [UInt8], dataBytes: Int) {
    var bytes: [UInt8] = Array("GGUF".utf8)
    func append(_ value: Int, _ width: Int) {
      for byte in 0..<width { bytes.append(UInt8(truncatingIfNeeded: value >> (byte * 8))) }
    }
    append(3, 4)
    append(100_000, 8)
    append(0, 8)
    for index in 0..<100_000 {
      let name = Array("layers.\(index / 1000).experts.\(index % 1000).w".utf8)
      append(name.count, 8)
      bytes += name
      append(1, 4)
      append(1, 8)
      append(0, 4)
      append(index * 32, 8)
    }
    append(0, (32 - bytes.count % 32) % 32)
    return (bytes, 100_000 * 32)
  }
}
