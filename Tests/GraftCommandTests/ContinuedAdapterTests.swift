import TestSupport
import Testing

/// Options beside `--from` that say something else than the adapter.
@Suite struct `Going on from an adapter` {
  private let scratch = TemporaryFolder()

  private func train(_ output: String, _ options: String...) throws -> Graft.Outcome {
    try Graft.run(
      [
        "train", "model", "--data", "text/gospels.txt", "--steps", "1", "--batch-size", "1",
        "--sequence-length", "16", "--quiet", "--out", scratch(output),
      ] + options)
  }

  private static let contradictions: [(options: [String], expected: String, found: String)] = [
    (["--rank", "4"], "8", "4"), (["--alpha", "2"], "32.0", "2.0"),
    (["--variant", "rslora"], "lora", "rslora"),
    (
      ["--target-modules", "q_proj"], "the adapter's modules",
      "q_proj, without model.layers.0.self_attn.v_proj"
    ),
    (
      ["--target-modules", "q_proj,k_proj,v_proj"], "the adapter's modules",
      "q_proj,k_proj,v_proj, with model.layers.0.self_attn.k_proj"
    ),
    (
      ["--layers", "1-5"], "the adapter's modules",
      "1-5, without model.layers.0.self_attn.q_proj"
    ),
  ]

  @Test func `an option that contradicts the adapter is an error`() throws {
    let adapter = scratch("adapter")
    #expect(try train("adapter").status == 0)
    for (options, expected, found) in Self.contradictions {
      let outcome = try Graft.run(
        [
          "train", "model", "--data", "text/gospels.txt", "--steps", "1", "--out",
          scratch("other"), "--from", adapter,
        ] + options)
      #expect(outcome.status == 2)
      #expect(outcome.output == "")
      #expect(
        outcome.error == """
          error: \(options[0]) contradicts the adapter of --from
            \(adapter), expected \(expected), found \(found)
            leave \(options[0]) out; --freeze keeps modules of the adapter as they are

          """)
    }
    #expect(scratch.names == ["adapter"])
  }

  @Test func `an option that says the same goes through`() throws {
    #expect(try train("adapter", "--layers", "0,1").status == 0)
    let options = [
      ["--target-modules", "v_proj,q_proj"], ["--layers", "0-1", "--rank", "8"],
      ["--target-modules", #"model\.layers\.[01]\.self_attn\.(q|v)_proj"#],
    ]
    for (index, option) in options.enumerated() {
      let outcome = try Graft.run(
        [
          "train", "model", "--data", "text/gospels.txt", "--steps", "1", "--batch-size", "1",
          "--sequence-length", "16", "--quiet", "--out", scratch("other\(index)"), "--from",
          scratch("adapter"),
        ] + option)
      #expect(outcome.status == 0, "\(outcome.error)")
    }
  }
}
