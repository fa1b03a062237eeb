import GraftCore
import GraftFormats

extension FuzzTarget {
  /// Archives, also for bare pickles, which the mutator takes out.
  private static let seeds = [
    "Formats/pytorch/accept", "Formats/pytorch/reject", "Fixtures/golden/pytorch/**.pt",
  ]
  private static let words = [
    "storage", "cpu", "FloatStorage", "torch\nFloatStorage\n", "torch\nBFloat16Storage\n",
    "ctorch._utils\n_rebuild_tensor_v2\n", "ctorch._utils\n_rebuild_tensor_v3\n",
    "ctorch._utils\n_rebuild_parameter\n", "ctorch._tensor\n_rebuild_from_type_v2\n",
    "ccollections\nOrderedDict\n", "torch\nfloat4_e2m1fn_x2\n", "torch.storage\nUntypedStorage\n",
    "ctorch\nSize\n", "c_codecs\nencode\n", "ctorch._utils\n_rebuild_sparse_tensor\n",
  ]

  /// Accepted: names, each once; nothing runs, whatever the opcodes are.
  static let pickle = FuzzTarget(
    "pickle", seeds: seeds, dictionary: words, structure: .pickle,
    run: { bytes in
      guard let names = try? PyTorchReader.tensorNames(inPickle: bytes) else { return }
      promise(Set(names).count == names.count, "a tensor has a name of its own")
    })

  /// An archive, or stacked pickles.
  ///
  /// Accepted: every tensor can be read, but for deflated records that turn out to be damaged.
  static let pytorch = FuzzTarget(
    "pytorch", seeds: seeds,
    dictionary: words + ["archive/data.pkl", "archive/version", "archive/byteorder", "PK"],
    structure: .archive,
    run: fromFile { path, byteCount in
      guard let reader = try? PyTorchReader(path: path) else { return }
      readAll(reader, byteCount: byteCount, isChecked: false)
      for entry in reader.metadata {
        promise(entry.value.utf8.count <= (16 << 20) + 64, "a text is cut where it is too long")
      }
    })
}
