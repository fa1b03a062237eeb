import Foundation
import TestSupport
import Testing

@Suite struct `Writing verbs` {
  private let scratch = TemporaryFolder()

  @Test func `convert goes to HDF5 and back without a trace`() throws {
    let (file, back) = (scratch("model.h5"), scratch("back"))
    let there = try Graft.run("convert", "model", file, "--quiet")
    #expect(there.status == 0)
    #expect(there.error == "")
    #expect(there.output == "\(file): 56 tensors, 2.6 MiB\n")
    let again = try Graft.run("convert", file, back, "--quiet")
    #expect(again.output == "\(back): 56 tensors, 2.6 MiB\n")
    let model = Graft.fixtures.appending(path: "model")
    for name in try FileManager.default.contentsOfDirectory(atPath: model.path) {
      #expect(
        try Data(contentsOf: model.appending(path: name))
          == Data(contentsOf: scratch.url("back/" + name)), "\(name)")
    }
    #expect(scratch.names == ["back", "model.h5"])
  }

  @Test func `merge prints what came of it`() throws {
    let out = scratch("merged")
    let outcome = try Graft.run(
      "merge", "golden/families/llama-tied", "golden/lora/llama-tied", "--out", out, "--verify",
      "--quiet")
    #expect(outcome.status == 0)
    #expect(outcome.error == "")
    #expect(
      outcome.output == """
        \(out): 4 tensors merged, 16 copied, 80.6 KiB
        update: ‖ΔW‖/‖W‖ 0.194, 100.00 % of ΔW survived rounding
        changed: 3,072 of 3,072 values (100.00 %)
        verified: 12.0 KiB read back and right
        left out: golden.safetensors

        """)
    // PEFT's values are those of the merged tensors alone.
    let same = try Graft.run(
      "diff", "golden/merge/llama-tied/merged.safetensors", out + "/model.safetensors", "--quiet")
    #expect(same.output.hasSuffix("\n4 tensors equal\n"), "\(same.output)")
  }

  @Test func `a weight of zero leaves the base as it is`() throws {
    let out = scratch("merged")
    let outcome = try Graft.run(
      "merge", "golden/families/llama-tied", "golden/lora/llama-tied:0", "--out", out, "--quiet")
    #expect(outcome.status == 0)
    let base = "golden/families/llama-tied/model.safetensors"
    let same = try Graft.run("diff", base, out + "/model.safetensors", "--quiet")
    #expect(same.status == 0, "\(same.output)")
  }

  @Test(arguments: ["adapter:nan", ":1"])
  func `an adapter whose path ends like no weight is taken as it is written`(
    name: String
  ) throws {
    let fixtures = Graft.fixtures
    _ = try scratch.copy(fixtures.appending(path: "golden/lora/llama-tied").path, to: name)
    let base = fixtures.appending(path: "golden/families/llama-tied").path
    let outcome = try Graft.run("merge", base, name, "--out", "out", "--quiet", in: scratch.folder)
    #expect(outcome.status == 0, "\(outcome.error)")
    let golden = fixtures.appending(path: "golden/merge/llama-tied/merged.safetensors").path
    let same = try Graft.run("diff", golden, scratch("out/model.safetensors"), "--quiet")
    #expect(same.output.hasSuffix("\n4 tensors equal\n"), "\(same.output)")
  }

  @Test func `an adapter whose path ends like a weight is taken as it is written`() throws {
    let adapter = try scratch.copy(
      Graft.fixtures.appending(path: "golden/lora/llama-tied").path, to: "adapter:0")
    let (whole, half, none) = (scratch("whole"), scratch("half"), scratch("none"))
    let base = "golden/families/llama-tied"
    for (argument, out) in [(adapter, whole), (adapter + ":0.5", half), (adapter + ":0", none)] {
      let outcome = try Graft.run("merge", base, argument, "--out", out, "--quiet")
      #expect(outcome.status == 0, "\(outcome.error)")
    }
    let golden = try Graft.run(
      "diff", "golden/merge/llama-tied/merged.safetensors", whole + "/model.safetensors", "--quiet")
    #expect(golden.output.hasSuffix("\n4 tensors equal\n"), "\(golden.output)")
    let weights = base + "/model.safetensors"
    let zero = try Graft.run("diff", weights, none + "/model.safetensors", "--quiet")
    #expect(zero.status == 0, "\(zero.output)")
    for other in [weights, whole + "/model.safetensors"] {
      #expect(try Graft.run("diff", other, half + "/model.safetensors", "--quiet").status == 1)
    }
  }

  @Test func `warm-start tells how much was found`() throws {
    let (out, report) = (scratch("warm"), scratch("report.json"))
    let outcome = try Graft.run(
      "warm-start", "model", "--vectors", "vectors/newtestament.bin", "--out", out, "--report",
      report, "--quiet")
    #expect(outcome.status == 0)
    #expect(
      outcome.output.hasPrefix("\(out): 718 of 2047 tokens found a vector (35.1 %): "))
    let json = try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: scratch.url("report.json")))
        as? [String: Any])
    #expect(json["matchedCount"] as? Int == 718)
  }

  @Test func `warm-start names what the form has no place for, as convert does`() throws {
    let target = scratch("warm.safetensors")
    let call = ["warm-start", "model", "--vectors", "vectors/newtestament.bin", "--out", target]
    let refused = try Graft.run(call + ["--quiet"])
    let converted = try Graft.run("convert", "model", target, "--quiet")
    #expect(refused.status == 3)
    #expect(refused.error == converted.error)
    let lossy = try Graft.run(call + ["--allow-loss", "--quiet"])
    #expect(lossy.status == 0)
    let lines = lossy.output.split(separator: "\n").filter { $0.hasPrefix("left out: ") }
    #expect(
      lines == [
        "left out: config.json", "left out: generation_config.json", "left out: tokenizer.json",
        "left out: tokenizer_config.json", "left out: training_log.txt",
      ])
    let json = try Graft.run(call + ["--allow-loss", "--quiet", "--json"])
    #expect(json.output.contains(#""losses": ["#))
  }

  @Test func `warm-start advises what there is where the form lacks the model's type`() throws {
    let (target, wide) = (scratch("warm.npz"), scratch("wide"))
    let rest = [
      "--vectors", "vectors/newtestament.bin", "--out", target, "--allow-loss", "--quiet",
    ]
    let refused = try Graft.run(["warm-start", "model"] + rest)
    #expect(refused.status == 3)
    #expect(refused.output == "")
    #expect(
      refused.error == """
        error: NumPy can't hold BF16
          \(target), tensor model.embed_tokens.weight
          convert the model first: graft convert model DIR --dtype f32

        """)
    #expect(scratch.names.isEmpty)
    let converted = try Graft.run("convert", "model", wide, "--dtype", "f32", "--quiet")
    #expect(converted.status == 0, "\(converted.error)")
    let written = try Graft.run(["warm-start", wide] + rest)
    #expect(written.status == 0, "\(written.error)")
    #expect(scratch.names == ["warm.npz", "wide"])
  }

  @Test(arguments: [
    ["convert", "model", "link.h5"], ["inspect", "model", "--html", "link.h5"],
    ["merge", "golden/families/llama-tied", "golden/lora/llama-tied", "--out", "link.h5"],
  ])
  func `a link to a file that isn't there yet stays, and the file appears`(call: [String]) throws {
    let link = scratch("link.h5")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "real")
    let outcome = try Graft.run(Array(call.dropLast()) + [link, "--quiet"])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error == "")
    #expect(scratch.names == ["link.h5", "real"])
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "real")
    #expect(try Data(contentsOf: scratch.url("real")).count > 1000)
  }

  @Test(arguments: ["", ".safetensors", ".h5"])
  func `a target's name may be as long as file systems have them`(suffix: String) throws {
    let table = try scratch.write(Array("a 1 2\nb 3 4\n".utf8), as: "words.txt")
    let name = String(repeating: "x", count: 255 - suffix.utf8.count) + suffix
    for arguments in [[], ["--overwrite"]] {
      let outcome = try Graft.run(["convert", table, scratch(name), "--quiet"] + arguments)
      #expect(outcome.status == 0, "\(outcome.error)")
      #expect(outcome.error == "")
      #expect(scratch.names == ["words.txt", name])
    }
    let path = scratch("x" + name)
    let refused = try Graft.run("convert", table, path, "--quiet")
    #expect(refused.status == 4)
    #expect(refused.output == "")
    #expect(
      refused.error == """
        error: lstat failed: File name too long
          \(path)
          a name has at most 255 bytes, a path 4,095

        """)
    #expect(scratch.names == ["words.txt", name])
  }

  // MARK: - Words by suffix

  @Test func `a target named like word vectors becomes a table of words`() throws {
    let words = try scratch.write(Array("a 1 2\nb 3 4\n".utf8), as: "words.glove")
    let (file, target) = (scratch("table.h5"), scratch("y.vec"))
    #expect(try Graft.run("convert", words, file, "--quiet").status == 0)
    let outcome = try Graft.run("convert", file, target, "--quiet")
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error == "")
    #expect(outcome.output == "\(target): 1 tensor, 16 B\n")
    let text = try String(contentsOf: scratch.url("y.vec"), encoding: .utf8)
    #expect(text.hasPrefix("2 2\na 1"))
    #expect(try Graft.run("diff", words, target, "--quiet").status == 0)
  }

  @Test func `what has no words makes no table and no directory of that name`() throws {
    let (source, target) = ("golden/merge/llama-tied/merged.safetensors", scratch("y.vec"))
    let refused = try Graft.run("convert", source, target, "--quiet")
    #expect(refused.status == 3)
    #expect(refused.output == "")
    #expect(
      refused.error == """
        error: the format isn't recognized
          \(source), expected one table of vectors (static-embeddings E-1), found 4 matrices
          words have vectors in a table with a row for each, or in a model with its tokenizer

        """)
    let model = try Graft.run("convert", "model", target, "--quiet")
    #expect(model.status == 3)
    #expect(model.output == "")
    #expect(model.error.hasPrefix("error: a table of word vectors can't hold config.json, "))
    let file = try Graft.run("convert", "model", target, "--to", "safetensors", "--quiet")
    #expect(file.status == 3)
    #expect(file.output == "")
    #expect(file.error.hasPrefix("error: one safetensors file can't hold config.json, "))
    let warm = try Graft.run(
      "warm-start", "model", "--vectors", "vectors/newtestament.bin", "--out", target, "--quiet")
    #expect(warm.status == 2)
    #expect(
      warm.error.hasPrefix(
        "error: warm-start writes models: convert the new one into a table of words\n"))
    #expect(scratch.names.isEmpty)
  }
}
