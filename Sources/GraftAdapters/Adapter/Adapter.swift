public import GraftCore

/// A function from a base model to a tuned one, in memory: low-rank updates, and tensors that replace the base's.
public struct Adapter: Sendable {
  /// How the base is adapted.
  public var configuration: LoRAConfiguration
  /// The updates.
  public var modules: [AdapterModule]
  /// The tensors that replace the base's, under the base's names.
  public var savedTensors: [Saved]
  /// The file that it was read from; nil for one made in memory.
  public private(set) var file: String?

  /// A tensor saved whole.
  public struct Saved: Sendable {
    /// Its name in the base.
    public let name: TensorName
    /// Its value, in the dtype of the file.
    public let value: MemorySlice

    /// Names a tensor's value.
    public init(name: TensorName, value: MemorySlice) {
      self.name = name
      self.value = value
    }
  }

  /// Puts an adapter together.
  public init(
    configuration: LoRAConfiguration, modules: [AdapterModule], savedTensors: [Saved] = []
  ) {
    self.configuration = configuration
    self.modules = modules
    self.savedTensors = savedTensors
  }

  /// Reads an adapter whole; A and B become f32.
  ///
  /// - Throws: ``AdapterError`` when the tensors aren't a LoRA adapter's, ``StorageError`` when they can't be read.
  public init(reading checkpoint: any CheckpointReader, configuration: LoRAConfiguration) throws {
    let layout = try AdapterLayout(checkpoint, configuration)
    self.configuration = configuration
    file = checkpoint.path
    modules = try layout.modules.map { module in
      AdapterModule(
        path: module.path, kind: module.kind, a: try checkpoint.f32Contents(of: module.a),
        b: try checkpoint.f32Contents(of: module.b), scaling: module.scaling)
    }
    savedTensors = try layout.savedTensors.map { saved in
      Saved(name: saved.name, value: try checkpoint.contents(of: saved.tensor))
    }
  }

  /// The tensors of `adapter_model.safetensors` under PEFT's names, with their values.
  public var checkpointTensors: [Saved] {
    modules.flatMap { module in
      [
        Saved(name: module.nameOfA, value: module.a),
        Saved(name: module.nameOfB, value: module.b),
      ]
    }
      + savedTensors.map { Saved(name: nameInFile($0.name), value: $0.value) }
  }

  /// PEFT's name of a tensor saved whole; what belongs to a module with an update, such as its bias, stands below the
  /// layer that PEFT wraps.
  private func nameInFile(_ name: TensorName) -> TensorName {
    let text = name.text
    guard let dot = text.lastIndex(of: "."),
      modules.contains(where: { $0.kind == .linear && $0.path == text[..<dot] })
    else { return TensorName(PEFTName.prefix + text) }
    return TensorName(PEFTName.prefix + text[..<dot] + ".base_layer" + text[dot...])
  }

  /// The metadata of `adapter_model.safetensors`.
  public static let checkpointMetadata = [MetadataEntry(key: "format", value: "pt")]

  /// The file of the tensors in an adapter's directory.
  public static let fileName = "adapter_model.safetensors"
}
