import Foundation
import Testing

@Suite struct `Reporting verbs` {
  private let scratch = Scratch()

  @Test func `inspect shows a model with its layers folded`() throws {
    let outcome = try Graft.run("inspect", "model")
    #expect(outcome.status == 0)
    #expect(outcome.error == "")
    #expect(
      outcome.output == """
        format        safetensors, model
        architecture  LlamaForCausalLM
        parameters    1,369,728
        size          2.6 MiB in BF16 2.6 MiB
        tied          model.embed_tokens.weight = lm_head.weight
        files         config.json, generation_config.json, tokenizer.json, tokenizer_config.json, training_log.txt
        metadata      format: pt

        model.embed_tokens.weight                           BF16  [2048, 128]  512.0 KiB
        model.layers.{0…5}.input_layernorm.weight           BF16  [128]          1.5 KiB  ×6
        model.layers.{0…5}.mlp.down_proj.weight             BF16  [128, 352]   528.0 KiB  ×6
        model.layers.{0…5}.mlp.gate_proj.weight             BF16  [352, 128]   528.0 KiB  ×6
        model.layers.{0…5}.mlp.up_proj.weight               BF16  [352, 128]   528.0 KiB  ×6
        model.layers.{0…5}.post_attention_layernorm.weight  BF16  [128]          1.5 KiB  ×6
        model.layers.{0…5}.self_attn.k_proj.weight          BF16  [64, 128]     96.0 KiB  ×6
        model.layers.{0…5}.self_attn.o_proj.weight          BF16  [128, 128]   192.0 KiB  ×6
        model.layers.{0…5}.self_attn.q_proj.weight          BF16  [128, 128]   192.0 KiB  ×6
        model.layers.{0…5}.self_attn.v_proj.weight          BF16  [64, 128]     96.0 KiB  ×6
        model.norm.weight                                   BF16  [128]            256 B

        """)
  }

  @Test func `inspect shows an adapter's facts`() throws {
    let outcome = try Graft.run("inspect", "golden/lora/qwen3")
    #expect(outcome.status == 0)
    #expect(
      outcome.output == """
        format      safetensors, adapter
        parameters  3,584
        size        14.0 KiB in F32 14.0 KiB
        adapter     rank 8, alpha 32, scaling 4, 4 modules
        base        ../../families/qwen3
        files       adapter_config.json
        metadata    format: pt

        base_model.model.model.layers.{0,1}.self_attn.q_proj.lora_A.weight  F32  [8, 64]  4.0 KiB  ×2
        base_model.model.model.layers.{0,1}.self_attn.q_proj.lora_B.weight  F32  [64, 8]  4.0 KiB  ×2
        base_model.model.model.layers.{0,1}.self_attn.v_proj.lora_A.weight  F32  [8, 64]  4.0 KiB  ×2
        base_model.model.model.layers.{0,1}.self_attn.v_proj.lora_B.weight  F32  [32, 8]  2.0 KiB  ×2

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
}
