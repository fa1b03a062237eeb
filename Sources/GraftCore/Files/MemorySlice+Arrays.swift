extension MemorySlice {
  /// Copies 32-bit floats into memory of their own.
  ///
  /// - Throws: ``StorageError`` when memory runs out.
  public init(copying elements: [Float], _ shape: Shape) throws(StorageError) {
    try self.init(copying: elements, dtype: .f32, shape)
  }

  /// Copies 32-bit integers, such as token ids, into memory of their own.
  ///
  /// - Throws: ``StorageError`` when memory runs out.
  public init(copying elements: [Int32], _ shape: Shape) throws(StorageError) {
    try self.init(copying: elements, dtype: .i32, shape)
  }

  private init<Element: BitwiseCopyable>(
    copying elements: [Element], dtype: DType, _ shape: Shape
  ) throws(StorageError) {
    precondition(elements.count == shape.elementCount, "as many elements as the shape has")
    try self.init(allocating: dtype, shape)
    replaceElements(elements)
  }

  /// Replaces the slice's elements.
  ///
  /// - Precondition: as many bytes as the slice has, and a writable region.
  public func replaceElements<Element: BitwiseCopyable>(_ elements: [Element]) {
    unsafe elements.withUnsafeBytes { source in unsafe replaceBytes(source) }
  }

  /// Replaces the slice's bytes.
  ///
  /// - Precondition: as many bytes as the slice has, and a writable region.
  public func replaceBytes(_ source: RawSpan) {
    unsafe source.withUnsafeBytes { source in unsafe replaceBytes(source) }
  }

  /// Puts the bytes of two slices in each other's place.
  ///
  /// - Precondition: slices of one size in different, writable regions.
  public func exchangeBytes(with other: MemorySlice) {
    precondition(
      byteCount == other.byteCount && memory !== other.memory && memory.isWritable
        && other.memory.isWritable, "slices of one size in different regions")
    guard let one = unsafe memory.address(at: byteOffset),
      let two = unsafe other.memory.address(at: other.byteOffset)
    else { return }
    let (own, others) = unsafe (
      UnsafeMutableRawBufferPointer(start: one, count: byteCount),
      UnsafeMutableRawBufferPointer(start: two, count: byteCount)
    )
    for index in 0..<byteCount { unsafe (own[index], others[index]) = (others[index], own[index]) }
    // The exchange goes through addresses: the owners must live until it is done.
    withExtendedLifetime((memory, other.memory)) {}
  }

  private func replaceBytes(_ source: UnsafeRawBufferPointer) {
    precondition(source.count == byteCount && memory.isWritable, "as many bytes as the slice has")
    guard let target = unsafe memory.address(at: byteOffset), let start = source.baseAddress else {
      return
    }
    unsafe target.copyMemory(from: start, byteCount: source.count)
    // The copy goes through an address: the owner must live until it is done.
    withExtendedLifetime(memory) {}
  }

  /// Whether no element of an f32 slice is NaN or infinite.
  ///
  /// - Precondition: the dtype is f32.
  public var isFinite: Bool {
    precondition(dtype == .f32, "32-bit floats")
    let source = bytes
    let width = MemoryLayout<SIMD16<Float>>.size
    let whole = byteCount / width * width
    // Only what is finite gives zero when multiplied with zero. Safety: as below.
    var products = SIMD16<Float>.zero
    for at in stride(from: 0, to: whole, by: width) {
      products += unsafe source.unsafeLoadUnaligned(fromByteOffset: at, as: SIMD16<Float>.self) * 0
    }
    for at in stride(from: whole, to: byteCount, by: 4) {
      products[0] += unsafe source.unsafeLoadUnaligned(fromByteOffset: at, as: Float.self) * 0
    }
    return products == .zero
  }

  /// The elements of an f32 slice, for small ones such as losses and norms.
  ///
  /// - Precondition: the dtype is f32.
  public func floats() -> [Float] {
    precondition(dtype == .f32, "32-bit floats")
    let source = bytes
    // Safety: RawSpan checks the bounds, and every bit pattern is a float.
    return (0..<shape.elementCount).map {
      unsafe source.unsafeLoadUnaligned(fromByteOffset: $0 * 4, as: Float.self)
    }
  }
}
