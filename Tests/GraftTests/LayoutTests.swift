import Graft
import Testing

/// Files that the libraries wrote themselves: `Fixtures/generate/layouts.py`.
@Suite struct `Recognizing what wrote a checkpoint` {
  private func inspection(_ name: String) throws -> Inspection {
    try inspect(OpenedCheckpoint(path: golden("layouts/" + name)))
  }

  @Test(arguments: [
    ("mlx-lora", Inspection.Layout.mlx, "LoRA", 4, 80.0, 20.0, 2),
    ("mlx-dora", .mlx, "DoRA", 4, 80, 20, 1),
    ("kohya.safetensors", .kohya, "LoRA", 4, 8, 2, 16),
    ("diffusers.safetensors", .diffusers, "LoRA", 4, 4, 1, 16),
    ("diffusers-metadata.safetensors", .diffusers, "LoRA", 4, 8, 2, 16),
    ("lycoris-loha.safetensors", .kohya, "LoHa", 4, 2, 0.5, 2),
    ("lycoris-lokr.safetensors", .kohya, "LoKr", 4, 2, 0.5, 2),
    ("adapter.gguf", .gguf, "LoRA", 4, 8, 2, 4),
  ])
  func `tells an adapter's layout, method, rank, alpha, scaling and modules`(
    name: String, layout: Inspection.Layout, method: String, rank: Int, alpha: Double,
    scaling: Double, moduleCount: Int
  ) throws {
    let inspection = try inspection(name)
    let adapter = try #require(inspection.adapter)
    #expect(inspection.kind == .adapter)
    #expect(inspection.layout == layout)
    #expect(adapter.method == method)
    #expect(adapter.rank == rank)
    #expect(adapter.alpha == alpha)
    #expect(adapter.scaling == scaling)
    #expect(adapter.modules.count == moduleCount)
    #expect(adapter.ranks.map(\.rank) == [rank])
    #expect(adapter.ranks.map(\.moduleCount) == [moduleCount])
  }

  @Test func `names modules as the file spells them`() throws {
    #expect(
      try inspection("mlx-lora").adapter?.modules.sorted() == [
        "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj",
      ])
    #expect(
      try inspection("kohya.safetensors").adapter?.modules.first
        == "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q")
    #expect(
      try inspection("adapter.gguf").adapter?.modules.sorted() == [
        "blk.0.attn_q.weight", "blk.0.attn_v.weight", "blk.1.attn_q.weight",
        "blk.1.attn_v.weight",
      ])
  }

  @Test(arguments: [
    ("mlx-lora", "mlx-lm", "tiny-llama"), ("kohya.safetensors", "networks.lora", "sd_v1"),
    ("lycoris-loha.safetensors", "lycoris.kohya", nil),
    ("diffusers-metadata.safetensors", "diffusers", nil), ("diffusers.safetensors", nil, nil),
  ])
  func `tells the tool and the base as far as the file says them`(
    name: String, tool: String?, base: String?
  ) throws {
    let adapter = try #require(try inspection(name).adapter)
    #expect(adapter.tool == tool)
    #expect(adapter.base == base)
  }

  @Test func `counts ranks that differ, those of most modules first`() throws {
    let adapter = try #require(try inspection("kohya-resized.safetensors").adapter)
    #expect(adapter.ranks.map(\.rank) == [4, 2])
    #expect(adapter.ranks.map(\.moduleCount) == [12, 4])
    #expect(adapter.rank == 4)
    #expect(adapter.alpha == 8)
    #expect(adapter.scaling == 2)
  }

  @Test func `counts packed weights one by one, as mlx-lm does`() throws {
    let inspection = try inspection("mlx-model")
    #expect(inspection.kind == .model)
    #expect(inspection.layout == .mlx)
    #expect(inspection.architecture == "LlamaForCausalLM")
    let packed = try #require(inspection.quantization)
    #expect(packed.bits == 4)
    #expect(packed.groupSize == 32)
    #expect(packed.mode == "affine")
    #expect(packed.moduleCount == 15)
    // metadata.total_parameters of the index that mlx-lm wrote.
    #expect(inspection.parameterCount == 53568)
  }

  @Test(arguments: ["families/llama-bf16", "families/gpt2", "lora/llama-tied", "gguf/qwen2.gguf"])
  func `takes nothing else for an adapter of another layout`(name: String) throws {
    let inspection = try inspect(OpenedCheckpoint(path: golden(name)))
    #expect(inspection.layout == (name.hasPrefix("lora") ? .peft : nil))
    #expect(inspection.kind == (name.hasPrefix("lora") ? .adapter : .model))
  }
}
