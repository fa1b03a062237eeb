public import GraftCore

/// Which tensors of a checkpoint make up a table of vectors, told by names, dtypes and shapes alone.
///
/// The forms and their numbered rules are in `Formats/static-embeddings/SPEC.md`.
public struct StaticEmbeddingLayout: Sendable {
  /// The vectors: [rows, dimensions].
  public let matrix: Int
  /// The row of each token: integers, [tokens]; nil where they are the same.
  public let mapping: Int?
  /// What the vector of each token is multiplied with: floats, [tokens].
  public let weights: Int?
  /// The words themselves: their bytes, and where each ends.
  public let vocabulary: (bytes: Int, ends: Int)?
  /// Whether the matrix has a name that only tables have.
  public let isNamed: Bool

  /// The names of the matrix in model2vec and in sentence-transformers.
  public static let matrixNames: [TensorName] = ["embeddings", "embedding.weight"]
  /// The name of the rows of model2vec's tokens.
  public static let mappingName: TensorName = "mapping"
  /// The name of the factors of model2vec's tokens.
  public static let weightsName: TensorName = "weights"
  /// The name of the words' bytes: U8, [bytes].
  public static let vocabularyBytesName: TensorName = "vocabulary.bytes"
  /// The name of the words' ends among the bytes: I64, [rows].
  public static let vocabularyEndsName: TensorName = "vocabulary.ends"

  /// Finds a table (static-embeddings E-1): a matrix of floats or 8-bit integers, by its name or as the only one, and nothing beside it but what belongs to tables.
  public init?(_ tensors: [TensorInfo]) {
    // A table has six tensors at most; a model's hundreds needn't be looked at.
    guard tensors.count <= 6 else { return nil }
    func place(_ name: TensorName, _ rank: Int, where fits: (DType) -> Bool) -> Int? {
      tensors.firstIndex { $0.name == name && $0.shape.rank == rank && fits($0.dtype) }
    }
    let isInteger = { (dtype: DType) in [.i32, .u32, .i64, .u64].contains(dtype) }
    let named = Self.matrixNames.lazy.compactMap { place($0, 2, where: Self.isElement) }.first
    let ngrams = place(FastTextCheckpoint.ngramsName, 2) { $0 == .f32 }
    let matrices = tensors.indices.filter { tensors[$0].shape.rank == 2 && $0 != ngrams }
    guard matrices.count == 1, let matrix = matrices.first, Self.isElement(tensors[matrix].dtype),
      named == nil || named == matrix
    else { return nil }
    mapping = place(Self.mappingName, 1, where: isInteger)
    weights = place(Self.weightsName, 1) { $0.isComputableFloat }
    let bytes = place(Self.vocabularyBytesName, 1) { $0 == .u8 }
    let ends = place(Self.vocabularyEndsName, 1) { $0 == .i64 }
    if let bytes, let ends { vocabulary = (bytes, ends) } else { vocabulary = nil }
    let known = [matrix, mapping, weights, ngrams, bytes, ends].compactMap { $0 }
    isNamed = named != nil && known.count == tensors.count
    self.matrix = matrix
  }

  private static func isElement(_ dtype: DType) -> Bool { dtype.isComputableFloat || dtype == .i8 }
}
