/// What is known of a stored tensor before its bytes are read.
public struct TensorInfo: Sendable, Hashable {
  /// The name in the checkpoint.
  public let name: TensorName
  /// The element type as stored.
  public let dtype: DType
  /// The extents, outermost first.
  public let shape: Shape
  /// The bytes that the tensor occupies.
  public let byteCount: Int

  /// Describes a tensor.
  /// - Throws: ``ShapeError`` when the shape has no size in bytes for the dtype.
  public init(name: TensorName, dtype: DType, shape: Shape) throws(ShapeError) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.byteCount = try shape.byteCount(of: dtype)
  }
}
