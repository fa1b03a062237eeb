public import GraftCore
internal import GraftKernels

/// What a merge did to every tensor: how large the updates are, and what of them survived rounding.
public struct MergeReceipt: Sendable {
  /// One touched tensor.
  public struct Entry: Sendable {
    /// Its name.
    public let name: TensorName
    /// What the sums were rounded to: its dtype in the result, or f32 where a type of GGUF is made of that.
    public let dtype: DType
    /// Its elements.
    public let elementCount: Int
    /// The ranks of its updates.
    public let ranks: [Int]
    /// Whether an adapter brought the tensor whole.
    public let isReplaced: Bool
    /// ‖W‖, the Frobenius norm of the old values.
    public let baseNorm: Double
    /// ‖ΔW‖ of the updates.
    public let updateNorm: Double
    /// ‖W' − (W + ΔW)‖, what rounding to the dtype did.
    public let roundingError: Double
    /// ⟨W' − W, ΔW⟩ / ‖ΔW‖²: 1 when the stored change is the update, 0 when rounding swallowed it.
    public let survivedFraction: Double?
    /// The elements whose stored value is another one.
    public let changedCount: Int
  }

  /// The touched tensors, in the order of the base.
  public let entries: [Entry]
  /// The tensors that were copied or only changed their dtype.
  public let untouchedCount: Int
  /// The bytes of all tensors written.
  public let byteCount: Int
  /// What the form of the result has no place for, and was left out.
  public let losses: [ConversionLoss]
  /// What was left out in any case, as of a conversion.
  public let notes: [ConversionLoss]
  /// The bytes that were read back and found right; nil without verification.
  public var verifiedByteCount: Int?

  init(_ plan: MergePlan, _ sums: [LowRankUpdate.Sums], _ written: ConversionReport) {
    byteCount = written.byteCount
    losses = written.losses
    notes = written.notes
    entries = zip(plan.tensors, sums).compactMap { planned, sums in
      guard !planned.isUntouched else { return nil }
      return Entry(
        name: planned.info.name, dtype: planned.info.dtype,
        elementCount: planned.info.shape.elementCount, ranks: planned.ranks,
        isReplaced: planned.replacement != nil, baseNorm: sums.baseSquared.squareRoot(),
        updateNorm: sums.updateSquared.squareRoot(),
        roundingError: sums.roundingSquared.squareRoot(),
        survivedFraction: sums.updateSquared > 0 ? sums.survived / sums.updateSquared : nil,
        changedCount: sums.changedCount)
    }
    untouchedCount = plan.tensors.count - entries.count
  }

  /// The receipt as JSON.
  public var json: JSONValue {
    [
      "tensors": .array(entries.map(\.json)),
      "untouchedCount": JSONValue(untouchedCount),
      "byteCount": JSONValue(byteCount),
      "verifiedByteCount": verifiedByteCount.map { JSONValue($0) } ?? .null,
      "losses": .array(losses.map { .string($0.what) }),
      "notes": .array(notes.map { .string($0.what) }),
    ]
  }
}

extension MergeReceipt.Entry {
  /// The entry as JSON.
  public var json: JSONValue {
    [
      "name": .string(name.text),
      "dtype": .string(dtype.rawValue),
      "elementCount": JSONValue(elementCount),
      "ranks": .array(ranks.map { JSONValue($0) }),
      "replaced": .bool(isReplaced),
      "baseNorm": JSONValue(baseNorm),
      "updateNorm": JSONValue(updateNorm),
      "roundingError": JSONValue(roundingError),
      "survivedFraction": survivedFraction.map { JSONValue($0) } ?? .null,
      "changedCount": JSONValue(changedCount),
    ]
  }
}

extension MergeReceipt: CustomStringConvertible {
  /// The receipt as a table.
  public var description: String {
    var lines = [row("tensor", "|W|", "|dW|", "rounding", "survived", "changed")]
    for entry in entries {
      let changed = 100 * Double(entry.changedCount) / Double(max(entry.elementCount, 1))
      lines.append(
        row(
          entry.name.description, rounded(entry.baseNorm), rounded(entry.updateNorm),
          rounded(entry.roundingError), entry.survivedFraction.map(rounded) ?? "replaced",
          rounded(changed) + " %"))
    }
    lines.append("\(entries.count) tensors merged, \(untouchedCount) copied, \(byteCount) bytes")
    if let verifiedByteCount { lines.append("\(verifiedByteCount) bytes read back and right") }
    return lines.joined(separator: "\n")
  }

  private func row(_ name: String, _ values: String...) -> String {
    let width = max(24, entries.map { $0.name.description.count }.max() ?? 0)
    return
      ([name + String(repeating: " ", count: max(0, width - name.count))]
      + values.map { String(repeating: " ", count: max(0, 11 - $0.count)) + $0 })
      .joined(separator: " ")
  }

  /// Four significant digits.
  private func rounded(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return "\(value)" }
    var exponent = 0
    var power = 1.0
    while abs(value) * power < 1000, exponent < 12 {
      power *= 10
      exponent += 1
    }
    return "\((value * power).rounded() / power)"
  }
}
