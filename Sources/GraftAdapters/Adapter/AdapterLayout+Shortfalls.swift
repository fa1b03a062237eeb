public import GraftCore

extension AdapterLayout {
  /// What a configuration asks for that the adapter lacks, in words, one line each.
  ///
  /// Names of which a base has no module ask for nothing, as in PEFT; without a base every name must have a pair. Of
  /// `modules_to_save`, whose defaults name modules of several architectures, one must be there.
  /// - Parameter base: The base's linear modules, if they are known.
  public func shortfalls(of configuration: LoRAConfiguration, base: [LinearModule]?) -> [String] {
    let paths = Set(modules.map(\.path))
    var result: [String] = []
    if let base {
      result = base.filter { configuration.isTarget($0) && !paths.contains($0.path) }
        .map { "target_modules asks for \($0.path), which has no pair" }
    } else {
      switch configuration.targetModules {
      case .names(let names):
        result = names.filter { name in !paths.contains { isPath($0, endingIn: name) } }
          .map { "target_modules asks for \($0), of which no module has a pair" }
      case .pattern(let pattern):
        if !paths.contains(where: pattern.matches) {
          result = ["target_modules asks for \(pattern.text), of which no module has a pair"]
        }
      case .allLinear: break
      }
    }
    let saved = configuration.modulesToSave
    let isSaved = saved.contains { name in
      savedTensors.contains { isPath($0.name.text, through: name) }
    }
    if !saved.isEmpty, !isSaved {
      result.append(
        "modules_to_save asks for \(saved.joined(separator: ", ")), of which there is no tensor")
    }
    return result.map(\.escapedForTerminal)
  }
}
