import Graft
import Testing

/// `config.json` as strangers write it: an error that names the key, never a trap.
struct ConfigurationTests {
  static func json(_ changes: [(key: String, value: JSONValue)]) -> JSONValue {
    var members: [(key: String, value: JSONValue)] = [
      ("architectures", ["LlamaForCausalLM"]), ("vocab_size", 256), ("hidden_size", 64),
      ("intermediate_size", 128), ("num_hidden_layers", 2), ("num_attention_heads", 4),
      ("num_key_value_heads", 2), ("rms_norm_eps", 1e-5), ("max_position_embeddings", 128),
    ]
    for change in changes {
      members.removeAll { $0.key == change.key }
      members.append(change)
    }
    return .object(JSONObject(members: members))
  }

  @Test(
    arguments: [
      ("hidden_size", JSONValue(Int64(1) << 31)), ("hidden_size", 0), ("hidden_size", -64),
      ("hidden_size", 65), ("hidden_size", "64"), ("hidden_size", nil),
      ("num_hidden_layers", 2_147_483_647), ("num_attention_heads", 2_147_483_647),
      ("num_attention_heads", 3), ("num_key_value_heads", 3), ("head_dim", 15),
      ("head_dim", 2_147_483_646), ("vocab_size", JSONValue(Int64.max)), ("rms_norm_eps", -1),
      ("rms_norm_eps", "tiny"), ("eos_token_id", JSONValue(Int64(1) << 40)), ("eos_token_id", -1),
      ("eos_token_id", ["x"]), ("hidden_act", "gelu"), ("tie_word_embeddings", 1),
      ("rope_scaling", ["rope_type": "yarn", "factor": 4]),
      ("rope_scaling", ["rope_type": "linear", "factor": 0]),
      ("rope_scaling", ["rope_type": "llama3", "factor": 8]),
      ("architectures", ["MambaForCausalLM"]), ("architectures", []),
      ("max_position_embeddings", 0), ("quantization_config", ["bits": 4]),
    ] as [(String, JSONValue)])
  func `an unusable value is an error of the model`(key: String, value: JSONValue) {
    #expect(throws: ModelError.self) {
      try LlamaConfiguration(Self.json([(key, value)]), file: "config.json")
    }
  }

  @Test func `null rope parameters don't hide the older spelling`() throws {
    let configuration = try LlamaConfiguration(
      Self.json([
        ("rope_parameters", nil), ("rope_scaling", ["rope_type": "linear", "factor": 2]),
      ]), file: "config.json")
    #expect(configuration.rotary.scaling == .linear(factor: 2))
  }

  @Test func `an unknown architecture is named, with those that are known`() {
    let error = #expect(throws: ModelError.self) {
      try KnownArchitectures.configuration(
        Self.json([("architectures", ["MambaForCausalLM"])]), file: "config.json")
    }
    #expect(error?.reason == .unknownArchitecture("MambaForCausalLM"))
    #expect(error?.remedy?.contains("LlamaForCausalLM") == true)
  }

  @Test(
    arguments: [
      (["architectures": ["BertForMaskedLM"]], "BertForMaskedLM"),
      (["model_type": "bert"], "bert"),
    ] as [(JSONValue, String)])
  func `an encoder isn't one that predicts text, and is called what it says`(
    json: JSONValue, name: String
  ) throws {
    let error = #expect(throws: ModelError.self) {
      try KnownArchitectures.decoder(json, file: "config.json")
    }
    #expect(
      error?.reason == .unsupported(feature: "architecture for predicting text", found: name))
  }
}
