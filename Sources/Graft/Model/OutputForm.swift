internal import GraftCore
public import GraftFormats
public import GraftHDF5

/// In what form a verb writes a checkpoint.
public enum OutputForm: Sendable, Equatable {
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
  /// A directory with PyTorch's `pytorch_model.bin` and the other files; above the limit in shards with an index.
  case pyTorchDirectory(maximumShardByteCount: Int? = nil)
  /// One PyTorch file, tensors only.
  case pyTorchFile
  /// One NumPy file, tensors only: an archive of arrays or a single one.
  case numPy(NumPyWriter.Form)
  /// A table of vectors with its words.
  case wordVectors(WordVectorFormat)

  /// Whether the tensors' bytes are compressed, so that nobody knows beforehand how large the target becomes.
  var isCompressed: Bool {
    switch self {
    case .hdf5(let compression), .keras(let compression): compression != .none
    case .directory, .safetensorsFile, .gguf, .pyTorchDirectory, .pyTorchFile, .numPy,
      .wordVectors:
      false
    }
  }

  /// Whether the bytes of the target depend on the order in which tiles are written, as compressed chunks follow one another;
  /// tiles in order, from any number of threads, then make one file.
  var isOrdered: Bool {
    if case .wordVectors = self { true } else { isCompressed }
  }

  /// Whether the target is a directory.
  var isDirectory: Bool {
    switch self {
    case .directory, .pyTorchDirectory: true
    case .safetensorsFile, .hdf5, .gguf, .keras, .pyTorchFile, .numPy, .wordVectors: false
    }
  }

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
    } else if Self.isWordText(path) {
      self = .wordVectors(.word2vecText)
    } else {
      self = .directory()
    }
  }

  /// Whether a path's suffix is that of word vectors as text.
  public static func isWordText(_ path: String) -> Bool {
    let name = path.lowercased()
    return [".vec", ".txt"].contains(where: name.hasSuffix)
  }
}

extension OutputForm: CustomStringConvertible {
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
