import GraftAdapters
import GraftCore
import GraftModels

extension FuzzTarget {
  /// Accepted: every tensor that the model asks for has a size.
  static let modelConfiguration = FuzzTarget(
    "configuration", seeds: ["Fixtures/golden/**/config.json"],
    dictionary: [
      "architectures", "LlamaForCausalLM", "Gemma3ForCausalLM", "GPT2LMHeadModel", "BertModel",
      "rope_scaling", "rope_type", "layer_types", "sliding_window", "head_dim", "yarn", "llama3",
    ],
    structure: .text,
    run: { bytes in
      guard let json = try? JSONValue.parse(bytes, file: "input"),
        let model = try? KnownArchitectures.configuration(json, file: "input")
      else { return }
      promise(
        model.tensors.allSatisfy { $0.shape.elementCount >= 0 }, "a tensor has a size")
      promise(
        model.linearModules.allSatisfy { $0.weightShape.elementCount > 0 }, "and a module")
    })

  /// Accepted: finds its modules, and is the same when written again.
  static let adapterConfiguration = FuzzTarget(
    "adapter-configuration", seeds: ["Fixtures/golden/**/adapter_config.json"],
    dictionary: [
      "target_modules", "rank_pattern", "layers_pattern", "exclude_modules", "all-linear", "(?=",
      "(?!", ".*", "{0,1000}", "\\\\d+", "[^.]", "(?:", "|", "+", "$",
    ],
    structure: .text,
    run: { bytes in
      guard let json = try? JSONValue.parse(bytes, file: "input"),
        let configuration = try? LoRAConfiguration(json, file: "input")
      else { return }
      _ = try? configuration.targets(in: modules)
      guard let written = try? JSONValue.parse(configuration.peftFile, file: "written"),
        var again = try? LoRAConfiguration(written, file: "written")
      else { fatalError("what was written is a configuration") }
      // Keys without a meaning here are sorted.
      again.otherKeys = configuration.otherKeys
      promise(again == configuration, "the configuration is kept")
    })

  /// The modules of a small model.
  private static let modules: [LinearModule] =
    (0..<12).flatMap { layer in
      ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"].map {
        LinearModule(path: "model.layers.\(layer).\($0)", outputWidth: 8, inputWidth: 8)
      }
    } + [LinearModule(path: "lm_head", outputWidth: 8, inputWidth: 8, isOutputHead: true)]
}
