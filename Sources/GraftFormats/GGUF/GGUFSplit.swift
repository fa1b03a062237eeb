internal import GraftCore

/// A checkpoint in files named `prefix-00001-of-00003.gguf`, each of which says its number.
public enum GGUFSplit {
  /// The paths of the files that tensors fill, beside each other; nil where they fit in one.
  ///
  /// - Parameter path: Where one file would be; its suffix `.gguf` gives way.
  public static func paths(for plan: ShardPlan, at path: String) -> [String]? {
    let count = plan.shards.count
    guard count > 1 else { return nil }
    let prefix = path.hasSuffix(".gguf") ? String(path.dropLast(5)) : path
    return (0..<count).map { prefix + suffix($0, of: count) }
  }

  /// The files of the checkpoint that one of its files belongs to, in order; that file alone when it isn't split.
  static func complete(_ opened: GGUFFile) throws(StorageError) -> [GGUFFile] {
    guard let value = opened.value(of: "split.count") else { return [opened] }
    guard let count = value.int, count >= 1, count <= GGUFLimits.shards else {
      throw StorageError(
        .malformed(
          rule: "gguf G-18", expected: "split.count from 1 to \(GGUFLimits.shards)",
          found: value.description),
        file: opened.file.path)
    }
    let number = try number(of: opened, count: count)
    guard count > 1 else { return [opened] }
    let suffix = suffix(number, of: count)
    guard opened.file.path.hasSuffix(suffix) else {
      throw StorageError(
        .mismatch(
          subject: "the name of a split file (gguf G-18)", expected: "a name ending in \(suffix)",
          found: opened.file.path),
        file: opened.file.path)
    }
    let prefix = String(opened.file.path.dropLast(suffix.count))
    var files: [GGUFFile] = []
    for position in 0..<count {
      let path = prefix + Self.suffix(position, of: count)
      let file = position == number ? opened : try GGUFFile(try InputFile(path: path))
      guard file.value(of: "split.count")?.int == count,
        try Self.number(of: file, count: count) == position
      else {
        throw StorageError(
          .mismatch(
            subject: "the number of a split file (gguf G-18)", expected: "\(position) of \(count)",
            found:
              "\(file.value(of: "split.no")?.description ?? "none") of \(file.value(of: "split.count")?.description ?? "none")"
          ), file: file.file.path)
      }
      files.append(file)
    }
    try check(files)
    return files
  }

  /// Counting from 0, below the count.
  private static func number(of file: GGUFFile, count: Int) throws(StorageError) -> Int {
    guard let number = file.value(of: "split.no")?.int, number >= 0, number < count else {
      throw StorageError(
        .malformed(
          rule: "gguf G-18", expected: "split.no below \(count)",
          found: file.value(of: "split.no")?.description ?? "none"),
        file: file.file.path)
    }
    return number
  }

  /// Checks that the files are one model: the announced number of tensors, each name once.
  private static func check(_ files: [GGUFFile]) throws(StorageError) {
    var seen = DistinctNames(reserving: files.reduce(0) { $0 + $1.tensors.count })
    for file in files {
      for tensor in file.tensors where !seen.insert(tensor.name) {
        throw .repeated(
          tensor.name, rule: "gguf G-12", file: file.file.path, tensor: tensor.name)
      }
    }
    for file in files {
      guard let announced = file.value(of: "split.tensors.count")?.int, announced != seen.count
      else { continue }
      throw StorageError(
        .mismatch(
          subject: "the number of tensors in the split files (gguf G-18)",
          expected: String(announced),
          found: String(seen.count)),
        file: file.file.path)
    }
  }

  /// The end of the name of a file, counted from 0.
  static func suffix(_ number: Int, of count: Int) -> String {
    "-\(ShardPlan.part(number + 1, of: count)).gguf"
  }
}
