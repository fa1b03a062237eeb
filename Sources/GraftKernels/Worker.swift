internal import GraftCore

/// What one thread of the pool owns while it runs a task: scratch memory and its primitives of oneDNN.
///
/// Safety: the pool gives a worker's number to one thread at a time and runs one job at a time, so a worker is never
/// used by two threads at once.
@safe final class Worker: @unchecked Sendable {
  /// What scratch is for; each purpose has its own memory.
  enum Purpose: Int, CaseIterable {
    /// What a task computes.
    case task
    /// Operands of a product, converted.
    case left, right
    /// The right operand of a product with a small extent, its rows padded.
    case packed
    /// The result of a product before it is converted.
    case result
    /// What the members of a chain hand to each other.
    case chain
    /// What oneDNN packs into.
    case library
  }

  private var scratch = [Memory?](repeating: nil, count: Purpose.allCases.count)
  /// The worker's own primitives; nil when the library isn't there.
  private(set) lazy var oneDNN = OneDNN()

  /// The bytes of scratch that it holds.
  var byteCount: Int { scratch.reduce(0) { $0 + Memory.pages($1?.byteCount ?? 0) } }

  /// Takes all the scratch that work needs.
  ///
  /// - Throws: ``StorageError`` without memory.
  func reserve(_ need: ScratchNeed) throws(StorageError) {
    for (purpose, count) in need.own.enumerated() where count > scratch[purpose]?.byteCount ?? 0 {
      // What is too small makes room first.
      scratch[purpose] = nil
      scratch[purpose] = try Memory(byteCount: count)
    }
  }

  /// Makes the primitive of a product; false when oneDNN can't.
  ///
  /// - Throws: ``StorageError`` without memory.
  func prepare(_ product: ProductForm) throws(StorageError) -> Bool {
    try oneDNN?.prepare(product) != nil
  }

  /// Room for `byteCount` bytes, aligned to a page; what it held before is lost.
  func reserve(_ byteCount: Int, for purpose: Purpose = .task) -> UnsafeMutableRawPointer {
    if scratch[purpose.rawValue].map({ $0.byteCount < byteCount }) ?? true {
      scratch[purpose.rawValue] = nil
      scratch[purpose.rawValue] = .needed(byteCount: byteCount)
    }
    guard let address = unsafe scratch[purpose.rawValue]?.address(at: 0) else {
      preconditionFailure("scratch has pages")
    }
    return unsafe address
  }

  /// Room for floats.
  func floats(_ count: Int, for purpose: Purpose = .task) -> UnsafeMutablePointer<Float> {
    unsafe reserve(count * 4, for: purpose).assumingMemoryBound(to: Float.self)
  }
}

extension Memory {
  /// Scratch that a kernel cannot do without.
  static func needed(byteCount: Int) -> Memory {
    do { return try Memory(byteCount: byteCount) } catch {
      fatalError("no memory for \(byteCount) bytes of scratch")
    }
  }
}
