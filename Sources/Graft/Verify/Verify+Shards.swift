internal import GraftCore
internal import GraftFormats

extension Verification {
  /// Looks for everything that is wrong between the shards of a directory and their index, where opening would stop at the first.
  ///
  /// - Returns: whether something is wrong, so that the checkpoint can't be opened.
  mutating func checkShards() throws -> Bool {
    let folder: String
    var indexName: String?
    if Directory.exists(at: path) {
      folder = path
      let names = try Directory.entries(of: path)
      let weights = names.filter { $0.hasSuffix(".safetensors") && !$0.hasPrefix(".") }
      let hasIndex = names.contains { $0.hasSuffix(".safetensors.index.json") }
      // What opening takes for one file is no business of shards.
      guard hasIndex || weights.contains(where: { $0.contains("-of-") }),
        !weights.contains("model.safetensors") || !hasIndex
      else { return false }
    } else {
      guard Directory.hasFile(at: path), path.hasSuffix(".json"),
        case .shardIndex = try FormatSniffer.sniff(path: path)
      else { return false }
      folder = Directory.parent(of: path)
      indexName = path.split(separator: "/").last.map(String.init)
    }
    let survey = try ShardSurvey(of: folder, indexName: indexName)
    let found = survey.losses + survey.faults
    guard !found.isEmpty else { return false }
    defects += found
    omissions += survey.strangers.map {
      "\($0.escapedShortened): it belongs to none of the shards"
    }
    if survey.losses.isEmpty {
      omissions.append("tensors: graft verify --repair --out DIR writes the index anew")
    }
    return true
  }
}
