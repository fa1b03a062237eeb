import GraftAdapters
import GraftCore
import TestSupport
import Testing

struct LoRAConfigurationTests {
  private func linear(_ paths: [String], head: String = "lm_head") -> [LinearModule] {
    paths.map {
      LinearModule(path: $0, outputWidth: 8, inputWidth: 4, isOutputHead: $0 == head)
    }
  }

  @Test func `modules are targeted as in PEFT`() throws {
    let golden = try Repository.goldenJSON("adapters/targets.json")
    let base = linear(try #require(golden["modules"]?.array).compactMap(\.string))
    for row in try #require(golden["cases"]?.array) {
      let json = try #require(row["config"])
      let configuration = try LoRAConfiguration(json, file: "case")
      let expected = try #require(row["targeted"]?.array).compactMap(\.string)
      let targeted = try configuration.targets(in: base).map(\.module.path)
      #expect(targeted == expected, "\(json.serialized(indent: nil))")
    }
  }

  @Test func `ranks and alphas are overridden as in PEFT`() throws {
    let golden = try Repository.goldenJSON("adapters/overrides.json")
    let modules = try #require(golden["modules"]?.array).compactMap(\.string)
    for row in try #require(golden["cases"]?.array) {
      let pattern = try #require(row["pattern"])
      let json: JSONValue = [
        "r": 16, "lora_alpha": 16, "rank_pattern": pattern, "alpha_pattern": pattern,
      ]
      let configuration = try LoRAConfiguration(json, file: "case")
      for (module, value) in zip(modules, try #require(row["values"]?.array)) {
        #expect(configuration.rank(of: module) == value.int ?? 16, "\(module)")
        #expect(configuration.alpha(of: module) == value.double ?? 16, "\(module)")
      }
    }
  }

  @Test func `the scaling is alpha over rank, or over its root for rsLoRA`() {
    var configuration = LoRAConfiguration(
      rank: 16, alpha: 32, targetModules: ["q_proj", "v_proj"])
    #expect(configuration.scaling(of: "q_proj") == 2)
    configuration.usesRSLoRA = true
    #expect(configuration.scaling(of: "q_proj") == 8)
  }

  @Test(arguments: ["llama-tied", "llama-tied-all-linear", "qwen3"])
  func `a configuration written by PEFT survives reading and writing`(name: String) throws {
    let json = try Repository.goldenJSON("lora/\(name)/adapter_config.json")
    let configuration = try LoRAConfiguration(json, file: name)
    let written = try JSONValue.parse(configuration.peftFile, file: name)
    #expect(try LoRAConfiguration(written, file: name) == configuration)
    for (key, value) in try #require(json.object).members {
      let again = try #require(written.object)[key]
      // Options whose arithmetic isn't built are left out; they can only have had their neutral value.
      guard let again else { continue }
      let same =
        value.double.map { again.double == $0 } ?? (value == again)
      #expect(same || sorted(value) == sorted(again), "\(key)")
    }
  }

  @Test(arguments: [0, 0.05, 0.5, 1])
  func `the dropout is PEFT's key`(dropout: Double) throws {
    let json: JSONValue = ["r": 4, "target_modules": ["q"], "lora_dropout": JSONValue(dropout)]
    let configuration = try LoRAConfiguration(json, file: "f")
    #expect(configuration.dropout == dropout)
    #expect(configuration.peftJSON["lora_dropout"]?.double == dropout)
  }

  @Test func `expressions that are large together are refused`() throws {
    let patterns = (0..<100).map { JSONValue.string("(a{1000}|\($0))") }
    let error = #expect(throws: AdapterError.self) {
      try LoRAConfiguration(["layers_pattern": .array(patterns)], file: "f")
    }
    #expect(error?.description.contains("with those before it, it is too large") == true)
  }

  @Test func `a name as long as a book is compared with none that it can't be near to`() {
    let name = String(repeating: "q.", count: 1 << 19)
    let paths = (0..<200).map { "model.layers.\($0).self_attn.q_proj" }
    let elapsed = ContinuousClock().measure {
      #expect(nearestNames(to: name, among: paths).isEmpty)
    }
    #expect(elapsed < .seconds(2))
  }

  private func sorted(_ json: JSONValue) -> String { json.serialized(sortedKeys: true) }

  @Test(arguments: [
    ("use_dora", "true"), ("lora_bias", "true"), ("target_parameters", #"["experts"]"#),
    ("bias", #""all""#), ("init_lora_weights", #""pissa_niter_16""#),
    ("init_lora_weights", #""olora""#), ("alora_invocation_tokens", "[1,2]"),
    ("trainable_token_indices", "[0]"), ("layer_replication", "[[0,4]]"), ("use_qalora", "true"),
    ("use_something_new", "true"), ("peft_type", #""LOHA""#),
  ])
  func `an option that changes the arithmetic is refused by name`(key: String, value: String)
    throws
  {
    let json = try parsed(#"{"r": 8, "target_modules": ["q_proj"], "\#(key)": \#(value)}"#)
    let found = json[key]?.string ?? value
    #expect(throws: AdapterError(.unsupportedOption(key: key, found: found), file: "f")) {
      try LoRAConfiguration(json, file: "f")
    }
  }

  @Test(arguments: [
    #""r": 0"#, #""r": 1.5"#, #""r": "8""#, #""lora_alpha": "x""#, #""lora_alpha": 1e999"#,
    #""target_modules": 3"#, #""target_modules": ["a", 1]"#, #""target_modules": "(""#,
    #""rank_pattern": {"q": "a"}"#, #""rank_pattern": {"q": 0}"#, #""rank_pattern": {"(": 1}"#,
    #""layers_to_transform": "1""#, #""use_rslora": 1"#, #""lora_dropout": -0.1"#,
    #""lora_dropout": 1.5"#, #""lora_dropout": "0.1""#,
  ])
  func `a value of the wrong kind is an error with the file`(member: String) throws {
    let json = try parsed("{\(member)}")
    let error = #expect(throws: AdapterError.self) { try LoRAConfiguration(json, file: "f.json") }
    #expect(error?.file == "f.json")
    #expect(error?.diagnosis.kind == .badInput)
  }

  private func parsed(_ text: String) throws -> JSONValue {
    try JSONValue.parse(Array(text.utf8), file: "test")
  }

  @Test func `keys without meaning here are kept`() throws {
    let json: JSONValue = ["r": 4, "target_modules": ["q"], "revision": "main", "my_key": [1, 2]]
    let written = try LoRAConfiguration(json, file: "f").peftJSON
    #expect(written["revision"] == "main")
    #expect(written["my_key"] == [1, 2])
  }

  // MARK: - Targets

  @Test func `a name that finds no module suggests its neighbours`() {
    let base = linear(["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj"])
    let configuration = LoRAConfiguration(targetModules: ["q_proj", "vproj"])
    let error = #expect(throws: AdapterError.self) { try configuration.targets(in: base) }
    #expect(error?.reason == .targetNotFound(target: "vproj", nearest: ["v_proj", "q_proj"]))
    #expect(
      error?.description == """
        no module of the base matches the target vproj
        did you mean v_proj, q_proj?
        """)
  }

  @Test func `all-linear leaves the head out and is spelled out for files`() throws {
    let base = linear(["m.0.q", "m.0.k", "m.1.q", "m.1.k", "lm_head"])
    let configuration = LoRAConfiguration(targetModules: .allLinear)
    #expect(
      try configuration.targets(in: base).map(\.module.path) == [
        "m.0.q", "m.0.k", "m.1.q", "m.1.k",
      ]
    )
    let resolved = try configuration.resolvingAllLinear(in: base)
    #expect(resolved.targetModules == ["q", "k"])
    #expect(try resolved.targets(in: base) == configuration.targets(in: base))
  }

  @Test func `all-linear uses whole paths where a last component is ambiguous`() throws {
    let base = linear(["a.q", "head.q"], head: "head.q")
    let resolved = try LoRAConfiguration(targetModules: .allLinear).resolvingAllLinear(in: base)
    #expect(resolved.targetModules == ["a.q"])
  }

  @Test func `what a user writes is read`() throws {
    #expect(try TargetModules(parsing: "q_proj,v_proj") == ["q_proj", "v_proj"])
    #expect(try TargetModules(parsing: "All-Linear") == .allLinear)
    #expect(try TargetModules(parsing: "self_attn.q_proj") == ["self_attn.q_proj"])
  }

  @Test func `other text is a regular expression`() throws {
    #expect(try TargetModules(parsing: ".*q_proj") == .pattern(ModulePattern(".*q_proj")))
  }
}
