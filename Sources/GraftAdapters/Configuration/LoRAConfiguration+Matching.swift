public import GraftCore

/// A module that gets an update.
public struct TargetedModule: Sendable, Hashable {
  /// The module.
  public let module: LinearModule
  /// The rank of its update.
  public let rank: Int
  /// The factor of its B · A.
  public let scaling: Double
}

extension LoRAConfiguration {
  /// The modules of a base that get an update, in the base's order.
  ///
  /// The rules are PEFT's, except that every listed name must find a module.
  /// - Throws: ``AdapterError/Reason/targetNotFound(target:nearest:)``.
  public func targets(in base: [LinearModule]) throws(AdapterError) -> [TargetedModule] {
    if case .names(let names) = targetModules {
      for name in names where !base.contains(where: { isPath($0.path, endingIn: name) }) {
        throw targetNotFound(name, in: base)
      }
    }
    let targeted = base.filter(isTarget).map {
      TargetedModule(module: $0, rank: rank(of: $0.path), scaling: scaling(of: $0.path))
    }
    guard !targeted.isEmpty else { throw targetNotFound(targetModules.text, in: base) }
    return targeted
  }

  /// The same configuration with `all-linear` spelled out, as configuration files need it.
  ///
  /// Last components stand for modules where they are unambiguous, whole paths elsewhere.
  public func resolvingAllLinear(in base: [LinearModule]) throws(AdapterError) -> LoRAConfiguration
  {
    guard case .allLinear = targetModules else { return self }
    let targeted = try targets(in: base).map(\.module.path)
    let rest = Set(base.map(\.path)).subtracting(targeted)
    var names: [String] = []
    var seen: Set<String> = []
    for path in targeted {
      let last = path.split(separator: ".").last.map(String.init) ?? path
      let name = rest.contains { isPath($0, endingIn: last) } ? path : last
      if seen.insert(name).inserted { names.append(name) }
    }
    var resolved = self
    resolved.targetModules = .names(names)
    return resolved
  }

  // MARK: - Rules

  /// Whether a module of a base gets an update.
  public func isTarget(_ module: LinearModule) -> Bool {
    isTarget(module.path, canBeAnyLinear: !module.isOutputHead)
  }

  /// Whether an adapter's pair is of a module that gets an update; a configuration that names no targets says nothing of it.
  ///
  /// Without a base a head is told by its name, as the one linear module that `all-linear` doesn't mean.
  func isTarget(_ path: String, _ kind: AdapterModule.Kind) -> Bool {
    if case .names(let names) = targetModules, names.isEmpty { return true }
    return isTarget(path, canBeAnyLinear: kind == .linear && !isPath(path, endingIn: "lm_head"))
  }

  private func isTarget(_ path: String, canBeAnyLinear: Bool) -> Bool {
    if excludedModules?.contains(path) == true { return false }
    if modulesToSave.contains(where: { isPath(path, through: $0) }) { return false }
    switch targetModules {
    case .allLinear: return canBeAnyLinear && isInChosenLayer(path)
    case .names(let names):
      // A whole path is meant literally, whatever the layers.
      return names.contains { path.utf8.elementsEqual($0.utf8) }
        || names.contains { isPath(path, endingIn: $0) } && isInChosenLayer(path)
    case .pattern(let pattern): return pattern.matches(path)
    }
  }

  private func isInChosenLayer(_ path: String) -> Bool {
    guard let layers, !layers.isEmpty else { return true }
    return layerNumber(in: path).map(layers.contains) ?? false
  }

  /// The first number that stands between dots after at least two components, or after a layers pattern.
  private func layerNumber(in path: String) -> Int? {
    let parts = path.split(separator: ".", omittingEmptySubsequences: false)
    let numbers = parts.indices.dropLast().filter { Int(parts[$0]).map { $0 >= 0 } ?? false }
    guard !layersPatterns.isEmpty else {
      return numbers.first { $0 >= 2 }.flatMap { Int(parts[$0]) }
    }
    for pattern in layersPatterns {
      for number in numbers {
        for start in 0..<number
        where pattern.matches(parts[start..<number].joined(separator: ".")) {
          return Int(parts[number])
        }
      }
    }
    return nil
  }

  // MARK: - Errors

  private func targetNotFound(_ target: String, in base: [LinearModule]) -> AdapterError {
    AdapterError(
      .targetNotFound(
        target: target, nearest: nearestNames(to: target, among: base.lazy.map(\.path))))
  }
}

/// Whether a name's components stand in a path, side by side.
package func isPath(_ path: String, through name: String) -> Bool {
  ("." + path + ".").contains("." + name + ".")
}
