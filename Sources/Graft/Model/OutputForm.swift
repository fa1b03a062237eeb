public import GraftCore
public import GraftFormats
public import GraftHDF5

/// In what form a conversion writes.
public enum ConversionForm: Sendable, Equatable {
  /// A directory with safetensors and the other files; above the limit in shards with an index.
  case directory(maximumShardByteCount: Int? = nil)
  /// One safetensors file, tensors only.
  case safetensorsFile
  /// One HDF5 file with everything inside.
  case hdf5(HDF5Compression = .none)
  /// One GGUF file, or above the limit several beside each other; nil leaves each tensor its type.
  case gguf(GGUFMixture? = nil, maximumShardByteCount: Int? = nil)
  /// One file of Keras: `.weights.h5`, or the legacy layout in `.h5`; tensors and what Keras stores beside them.
  case keras(HDF5Compression = .none)
  /// A directory with PyTorch's `pytorch_model.bin` and the other files.
  case pyTorchDirectory
  /// One PyTorch file, tensors only.
  case pyTorchFile
  /// One NumPy file, tensors only: an archive of arrays or a single one.
  case numPy(NumPyWriter.Form)
  /// A table of vectors with its words.
  case wordVectors(WordVectorFormat)

  /// Whether the form has a place of its own for the words of a table, or none at all.
  var hasPlaceForWords: Bool {
    switch self {
    case .hdf5, .gguf, .wordVectors: true
    case .directory, .safetensorsFile, .keras, .pyTorchDirectory, .pyTorchFile, .numPy: false
    }
  }

  /// The form that a path's suffix asks for.
  public init(for path: String) {
    let name = path.lowercased()
    if name.hasSuffix(".weights.h5") || name.hasSuffix(".keras") {
      self = .keras()
    } else if name.hasSuffix(".h5") || name.hasSuffix(".hdf5") {
      self = .hdf5()
    } else if name.hasSuffix(".safetensors") {
      self = .safetensorsFile
    } else if name.hasSuffix(".gguf") {
      self = .gguf()
    } else if [".bin", ".pt", ".pth", ".ckpt"].contains(where: name.hasSuffix) {
      self = .pyTorchFile
    } else if name.hasSuffix(".npz") {
      self = .numPy(.archive)
    } else if name.hasSuffix(".npy") {
      self = .numPy(.singleArray)
    } else {
      self = .directory()
    }
  }
}

extension ConversionForm: CustomStringConvertible {
  /// What the form is called in messages.
  public var description: String {
    switch self {
    case .directory: "a model directory"
    case .safetensorsFile: "one safetensors file"
    case .hdf5: "HDF5"
    case .keras: "a file of Keras"
    case .gguf: "GGUF"
    case .pyTorchDirectory: "PyTorch's form"
    case .pyTorchFile: "one PyTorch file"
    case .numPy: "NumPy's form"
    case .wordVectors: "a table of word vectors"
    }
  }
}

/// How a conversion is done.
public struct ConversionOptions: Sendable {
  /// The form; nil follows the suffix of the target.
  public var form: ConversionForm?
  /// The dtype of all floats; nil keeps each, and makes quantized ones bf16.
  public var dtype: DType?
  /// Whether a checkpoint of another kind, or with other files, may be replaced.
  public var overwrites = false
  /// Whether what the target has no place for may be left out.
  public var allowsLoss = false
  /// The threads that work on tiles.
  public var threadCount: Int

  /// Makes options.
  ///
  /// - Precondition: the dtype is f16, bf16, f32 or nil, and there is a thread.
  public init(form: ConversionForm? = nil, dtype: DType? = nil, threadCount: Int = 2) {
    precondition(dtype?.isComputableFloat ?? true, "a conversion writes floats")
    precondition(threadCount > 0, "somebody works")
    self.form = form
    self.dtype = dtype
    self.threadCount = threadCount
  }
}
