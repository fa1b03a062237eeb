public import GraftCore

/// The update of one module: ΔW = scaling · B · A.
public struct AdapterModule: Sendable {
  /// What is updated.
  public enum Kind: Sendable, Hashable {
    /// A linear module. W: [out, in]  A: [rank, in]  B: [out, rank]
    case linear
    /// An embedding, whose table is the transpose. W: [vocab, hidden]  A: [rank, vocab]  B: [hidden, rank]
    case embedding
  }

  /// The module's path in the base.
  public let path: String
  /// What the module is.
  public let kind: Kind
  /// A: [rank, in], f32.
  public let a: MemorySlice
  /// B: [out, rank], f32.
  public let b: MemorySlice
  /// The factor of B · A.
  public let scaling: Double

  /// Makes an update.
  ///
  /// - Precondition: A and B are f32 matrices of one rank.
  public init(path: String, kind: Kind = .linear, a: MemorySlice, b: MemorySlice, scaling: Double) {
    precondition(a.dtype == .f32 && b.dtype == .f32, "A and B in memory are f32")
    precondition(a.shape.rank == 2 && b.shape.rank == 2 && a.shape[0] == b.shape[1])
    self.path = path
    self.kind = kind
    self.a = a
    self.b = b
    self.scaling = scaling
  }

  /// The rank.
  public var rank: Int { a.shape[0] }
  /// The name of A in an adapter file.
  public var nameOfA: TensorName { kind.nameOfA(path) }
  /// The name of B in an adapter file.
  public var nameOfB: TensorName { kind.nameOfB(path) }
}
