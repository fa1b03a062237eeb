import Graft
import GraftCore
import GraftFormats
import GraftHDF5

extension FuzzTarget {
  /// A file of any format, as `graft convert` takes it.
  ///
  /// Accepted: becomes every form, or says why it can't be one and leaves nothing.
  static let conversion: FuzzTarget = {
    var target = FuzzTarget(
      "conversion",
      seeds: [
        "Formats/safetensors/accept", "Formats/gguf/accept", "Formats/hdf5/accept",
        "Formats/keras/accept", "Formats/pytorch/accept", "Formats/numpy/accept",
        "Formats/fasttext/accept", "Formats/word-vectors/accept",
        "Formats/static-embeddings/accept/**.safetensors",
      ],
      dictionary: anything.dictionary + safetensors.dictionary + keras.dictionary,
      structure: .file,
      run: fromFile { path, _ in
        guard let source = try? OpenedCheckpoint(path: path, threadCount: 1) else { return }
        for target in ConversionTarget.all {
          _ = try? converted(source, to: target, FolderInMemory())
        }
      })
    target.repairChecksum = hdf5.repairChecksum
    target.longest = 16 << 10
    return target
  }()

  /// A small checkpoint made of decisions, through a few forms one after the other; a file on the way may be damaged.
  ///
  /// Accepted: the same of every step.
  static let conversionChain = FuzzTarget(
    "conversion-chain",
    decisions: { bytes in
      var choices = Choices(bytes)
      // Readers read on from the files that they were made of.
      var folders = [FolderInMemory()]
      guard var checkpoint = SmallCheckpoint(&choices).opened(in: folders[0]) else { return }
      for _ in 0..<3 {
        let folder = FolderInMemory()
        folders.append(folder)
        guard let next = try? converted(checkpoint, to: choices.pick(ConversionTarget.all), folder)
        else { break }
        checkpoint = next
        if choices.isOneIn(3) {
          guard let damaged = damaged(next, &choices) else { break }
          checkpoint = damaged
        }
      }
      withExtendedLifetime(folders) {}
    })

  /// A checkpoint of one file with a few other bytes, opened again; nil where it no longer opens.
  private static func damaged(
    _ checkpoint: OpenedCheckpoint, _ choices: inout Choices
  ) -> OpenedCheckpoint? {
    guard Directory.hasFile(at: checkpoint.path) else { return checkpoint }
    do {
      var bytes = try InputFile.contents(of: checkpoint.path, atMost: 1 << 22)
      for _ in 0...choices.next(3) where !bytes.isEmpty {
        // Headers come first.
        let reach = choices.isOneIn(2) ? bytes.count : min(bytes.count, 256)
        bytes[choices.place(below: reach)] = UInt8(choices.next(256))
      }
      try AtomicFile.write(bytes, to: checkpoint.path)
      return try OpenedCheckpoint(path: checkpoint.path, threadCount: 1)
    } catch {
      return nil
    }
  }
}

/// A form to convert to, with a name for the target that asks for it.
struct ConversionTarget {
  let name: String
  let form: OutputForm
  var dtype: DType?

  init(_ name: String, _ form: OutputForm? = nil, dtype: DType? = nil) {
    self.name = name
    self.form = form ?? OutputForm(for: name)
    self.dtype = dtype
  }

  /// Everything that `graft convert` writes.
  static let all =
    [
      ConversionTarget("directory"), ConversionTarget("file.h5"), archive, legacy, weights,
      ConversionTarget("shards", .directory(maximumShardByteCount: 40)),
      ConversionTarget("halves", dtype: .f16), ConversionTarget("file.safetensors"),
      ConversionTarget("packed.h5", .hdf5(.zstd())),
      ConversionTarget("packed.keras", .keras(.zstd())),
      ConversionTarget("file.gguf"), ConversionTarget("quantized.gguf", .gguf(.q8_0)),
      ConversionTarget("file.pt"), ConversionTarget("torch", .pyTorchDirectory()),
      ConversionTarget("torch-shards", .pyTorchDirectory(maximumShardByteCount: 40)),
      ConversionTarget("file.npz"), ConversionTarget("file.npy"),
    ] + WordVectorFormat.allCases.map { ConversionTarget("words.txt", .wordVectors($0)) }

  /// Keras 3's archive.
  static let archive = ConversionTarget("file.keras")
  /// Keras's legacy layout.
  static let legacy = ConversionTarget("legacy.h5", .keras())
  /// Keras 3's weights.
  static let weights = ConversionTarget("file.weights.h5")

  /// Whether the form keeps names, whatever they are.
  var keepsNames: Bool {
    switch form {
    case .directory, .safetensorsFile, .hdf5, .pyTorchDirectory, .pyTorchFile: true
    case .numPy(let form): form == .archive
    case .gguf, .keras, .wordVectors: false
    }
  }

  /// Whether the form keeps the files beside the tensors.
  var keepsFiles: Bool {
    switch form {
    case .directory, .hdf5, .pyTorchDirectory: true
    case .safetensorsFile, .pyTorchFile, .numPy, .gguf, .keras, .wordVectors: false
    }
  }
}

/// Converts a checkpoint, in a folder where nothing stands.
///
/// Promised: an error is one that can be told, and leaves nothing. Else what was written opens, with the tensors of the report; what
/// keeps its name and dtype keeps its bytes, and what isn't there was named.
/// - Returns: What was written, opened; nil for a checkpoint that is too large, and where it is a table of words.
/// - Throws: Why the form can't hold the checkpoint.
func converted(
  _ source: OpenedCheckpoint, to target: ConversionTarget, _ folder: FolderInMemory
) throws -> OpenedCheckpoint? {
  // Compressed tensors and those that repeat themselves may be much larger than their file.
  var room = convertibleBytes
  for tensor in source.reader.tensors {
    guard tensor.byteCount <= room else { return nil }
    room -= tensor.byteCount
  }
  let path = folder.path + "/" + target.name
  var options = ConversionOptions(form: target.form, dtype: target.dtype, threadCount: 1)
  options.allowsLoss = true
  let report: ConversionReport
  do {
    report = try convert(source, to: path, options: options)
  } catch {
    promise(error is any DiagnosableError, "\(target.name): an error can be told: \(error)")
    promise(folder.names.isEmpty, "\(target.name): an error leaves nothing")
    throw error
  }
  promise(folder.names == [target.name], "\(target.name): the target alone is there")
  do {
    if case .wordVectors(let format) = target.form {
      let table = try EmbeddingCheckpoint(path: path, format: format)
      promise(
        table.tensors.map(\.shape) == report.tensors.map(\.shape), "words have their rows")
      return nil
    }
    let written = try OpenedCheckpoint(path: path, threadCount: 1)
    try check(written, report, of: source, target)
    return written
  } catch {
    fatalError("\(target.name): what was written can be read: \(error)")
  }
}

private let convertibleBytes = 1 << 18

/// Holds a result against its report and its source.
private func check(
  _ written: OpenedCheckpoint, _ report: ConversionReport, of source: OpenedCheckpoint,
  _ target: ConversionTarget
) throws {
  let places = Dictionary(
    uniqueKeysWithValues: written.reader.tensors.enumerated().map { ($1.name, $0) })
  if case .numPy(.singleArray) = target.form {
    // An array has no name.
    let isKept = try bytes(of: 0, in: written.reader) == bytes(of: 0, in: source.reader)
    promise(
      written.reader.tensors.map(\.shape) == report.tensors.map(\.shape)
        && (isKept || report.convertedCount > 0 || source.reader.format == .gguf),
      "\(target.name): the array keeps its bytes")
    return
  }
  for tensor in report.tensors {
    guard let place = places[tensor.name] else {
      fatalError("\(target.name): \(tensor.name) is there")
    }
    promise(written.reader.tensors[place] == tensor, "\(target.name): and as reported")
  }
  promise(
    written.reader.tensors.count >= report.tensors.count, "\(target.name): tensors are counted")
  guard source.reader.format != .gguf else { return }
  let isWhole = report.losses.isEmpty && report.notes.isEmpty
  // Names of one tensor may become one name, and metadata that has the others.
  let tied = Set(source.reader.ties.joined())
  let isSame = Set(report.tensors.map(\.name)) == Set(source.reader.tensors.map(\.name))
  for (index, tensor) in source.reader.tensors.enumerated() where isSame || target.keepsNames {
    guard let place = places[tensor.name] else {
      promise(
        !isWhole || tied.contains(index), "\(target.name): \(tensor.name) isn't lost without a word"
      )
      continue
    }
    guard written.reader.tensors[place] == tensor else { continue }
    let isKept = try bytes(of: place, in: written.reader) == bytes(of: index, in: source.reader)
    promise(isKept, "\(target.name): \(tensor.name) keeps its bytes")
  }
  guard isWhole, target.keepsFiles else { return }
  for file in source.files {
    guard let kept = written.file(file.name) else {
      fatalError("\(target.name): \(file.name) isn't lost without a word")
    }
    let isKept = try kept.contents() == file.contents()
    promise(isKept || target.dtype != nil, "\(target.name): \(file.name) keeps its bytes")
  }
}
