public import GraftCore
internal import GraftKernels

/// A GGUF model shown as the Hugging Face model that it was made from.
///
/// The tensors have that model's names, shapes, row order and one dtype; reading them dequantizes. ``files`` are the
/// configuration and the tokenizer, rebuilt from the metadata. Architectures: llama (with Mistral), qwen2, qwen3, gemma3, gpt2.
public struct GGUFModel: CheckpointReader {
  /// The checkpoint underneath.
  public let source: GGUFReader
  /// Which stored tensor becomes which tensor, in the order of ``tensors``.
  public let places: [Place]
  /// The tensors under their new names.
  public let tensors: [TensorInfo]
  /// The stored tensors that became part of the configuration instead.
  public let absorbed: [TensorName]
  /// The stored tensors that the architecture has no place for, where they may be left out.
  package let strangers: [TensorName]
  /// `config.json`, `tokenizer.json` and their companions.
  public let files: [File]
  /// What of the keys neither the files have nor the metadata.
  package let omissions: GGUFOmissions

  /// A stored tensor's place in the model.
  public struct Place: Sendable {
    /// The tensor's index in the source.
    public let source: Int
    /// What else than the name is different.
    package let arrangement: GGUFArrangement
  }

  /// A small file of a model directory.
  public struct File: Sendable {
    /// The name in the directory.
    public let name: String
    /// The content.
    public let bytes: [UInt8]
  }

  /// Whether a file says that it is a model of an architecture that has a directory's names and files.
  ///
  /// llama.cpp's adapters name the architecture of their base; a file without a number of blocks is a piece of a model at most.
  package static func knows(_ source: GGUFReader) -> Bool {
    let name = source["general.architecture"]?.string ?? ""
    let isAdapter =
      source["general.type"]?.string == "adapter" || source["adapter.type"] != nil
    return GGUFParameters.Architecture(rawValue: name) != nil && !isAdapter
      && source[name + ".block_count"] != nil
  }

  /// Maps a checkpoint.
  ///
  /// - Parameter dtype: What the tensors are read as: f32, bf16 or f16.
  /// - Throws: ``StorageError`` when the architecture, a tensor or the tokenizer has no counterpart, naming it.
  public init(_ source: GGUFReader, as dtype: DType = .bf16) throws(StorageError) {
    try self.init(source, as: dtype, leavingStrangers: false)
  }

  /// Maps a checkpoint.
  ///
  /// - Parameter leavesStrangers: Whether tensors that the architecture has no place for are left out, and not refused.
  /// - Throws: ``StorageError`` when the architecture, a tensor or the tokenizer has no counterpart, naming it.
  package init(
    _ source: GGUFReader, as dtype: DType, leavingStrangers leavesStrangers: Bool
  ) throws(StorageError) {
    let parameters = try GGUFParameters(source)
    let wanted = parameters.tensors
    let positions = Dictionary(
      source.tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    var places: [Place] = []
    var tensors: [TensorInfo] = []
    var used: Set<TensorName> = []
    for tensor in wanted {
      guard let index = positions[tensor.source] else {
        throw StorageError(
          .malformed(rule: "gguf M-3", expected: "the tensor", found: "none"), file: source.path,
          tensor: tensor.source)
      }
      let info = source.tensors[index]
      let stored = tensor.arrangement.stored(tensor.shape)
      guard info.shape == stored else {
        throw StorageError(
          .malformed(
            rule: "gguf M-3", expected: "shape \(stored)", found: info.shape.description),
          file: source.path, tensor: tensor.source)
      }
      guard Quantization.supports(info.dtype) else {
        throw StorageError(
          .unsupported(feature: "values of type", found: info.dtype.description),
          file: source.path, tensor: info.name,
          remedy: "GGUF keeps such tensors as they are: name a target that ends in .gguf")
      }
      used.insert(tensor.source)
      places.append(Place(source: index, arrangement: tensor.arrangement))
      do {
        tensors.append(try TensorInfo(name: tensor.name, dtype: dtype, shape: tensor.shape))
      } catch {
        throw StorageError(.overflow(part: "tensor"), file: source.path, tensor: tensor.source)
      }
    }
    let rest = source.tensors.filter { !used.contains($0.name) }.map(\.name)
    absorbed = rest.filter(GGUFParameters.isAbsorbed)
    strangers = rest.filter { !GGUFParameters.isAbsorbed($0) }
    if !leavesStrangers, let stranger = strangers.first {
      throw StorageError(
        .unsupported(feature: "tensor (gguf M-3)", found: stranger.description),
        file: source.path, tensor: stranger)
    }
    self.source = source
    self.places = places
    self.tensors = tensors
    let tokenizer = try GGUFTokenizer(source)
    files = try GGUFModelFiles(source, parameters, tokenizer, dtype: dtype).files
    omissions = GGUFOmissions(of: source, parameters, hasTokenizer: tokenizer != nil)
  }

  /// GGUF.
  public var format: CheckpointFormat { .gguf }

  /// The path of the source.
  public var path: String { source.path }

  /// The source's files, from which values are made too that lie in none.
  public var inputs: [InputFile] { source.inputs }

  /// What safetensors files of such models say of themselves.
  ///
  /// Beside it stands what the file says of its origin: `general.name`, `general.license` and their like.
  public var metadata: [MetadataEntry] {
    [MetadataEntry(key: "format", value: "pt")] + GGUFOrigin.metadata(of: source.entries)
  }

  /// Fills `buffer` with dequantized values, rounded once, rows in the model's order.
  ///
  /// - Precondition: `byteOffset` and the buffer's size are whole elements.
  public func read(_ tensor: Int, at byteOffset: Int, into buffer: inout MutableRawSpan)
    throws(StorageError)
  {
    let info = tensors[tensor]
    let place = places[tensor]
    let width = info.dtype.layout.bytes
    let start = byteOffset / width
    let elements = start..<start + buffer.byteCount / width
    switch place.arrangement {
    case .same:
      try source.readValues(place.source, elements, as: info.dtype, into: &buffer)
    case .headRows(let order):
      try GGUFArrangement.reorder(
        info.shape, headWidth: order.headWidth, elements, width: width, into: &buffer,
        place: order.storedRow
      ) { range, bytes throws(StorageError) in
        try source.readValues(place.source, range, as: info.dtype, into: &bytes)
      }
    case .transposed:
      try GGUFArrangement.transpose(info.shape, elements, width: width, into: &buffer) {
        range, bytes throws(StorageError) in
        try source.readValues(place.source, range, as: info.dtype, into: &bytes)
      }
    case .plusOne:
      var values = [Float](repeating: 0, count: elements.count)
      try values.withMutableRawBytes { (bytes: inout MutableRawSpan) throws(StorageError) in
        try source.readValues(place.source, elements, as: .f32, into: &bytes)
      }
      for index in values.indices { values[index] -= 1 }
      try values.withRawBytes { bytes throws(StorageError) in
        Quantization.narrow(bytes, to: info.dtype, into: &buffer)
        try RoundedValues.checkRange(
          of: bytes, .f32, in: buffer.bytes, info.dtype, from: start, file: path,
          tensor: info.name)
      }
    }
  }

  /// Where the bytes lie, for tensors that are stored just as they are shown.
  public func extent(of tensor: Int) -> FileExtent? {
    let place = places[tensor]
    guard place.arrangement == .same, source.tensors[place.source].dtype == tensors[tensor].dtype
    else {
      return nil
    }
    return source.extent(of: place.source)
  }
}
