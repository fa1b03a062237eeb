public import GraftCore

extension AdapterLayout {
  /// What a configuration asks for that the adapter lacks, in words, one line each.
  ///
  /// Names of which a base has no module ask for nothing, as in PEFT, so that without a base no pair can be missed. Of
  /// `modules_to_save`, whose defaults name modules of several architectures, one must be there.
  /// - Parameter base: The base's linear modules, if they are known.
  public func shortfalls(of configuration: LoRAConfiguration, base: [LinearModule]?) -> [String] {
    let paths = Set(modules.map(\.path))
    var result = (base ?? []).filter { configuration.isTarget($0) && !paths.contains($0.path) }
      .map { "target_modules asks for \($0.path), which has no pair" }
    let saved = configuration.modulesToSave
    let isSaved = saved.contains { name in
      savedTensors.contains { isPath($0.name.text, through: name) }
    }
    if !saved.isEmpty, !isSaved {
      result.append(
        "modules_to_save asks for \(saved.joined(separator: ", ")), of which there is no tensor")
    }
    return result.map(\.escapedShortened)
  }

  /// The names among a configuration's targets of which no module has a pair; only a base tells whether one should.
  ///
  /// Names that the configuration excludes ask for none.
  public func targetsWithoutPair(of configuration: LoRAConfiguration) -> [String] {
    guard case .names(let names) = configuration.targetModules else { return [] }
    return names.filter { name in
      configuration.excludedModules?.contains(name) != true
        && !modules.contains { isPath($0.path, endingIn: name) }
    }
  }
}
