internal import GraftCore

extension MemorySlice {
  /// The address of the first element.
  var address: UnsafeMutableRawPointer {
    guard let address = unsafe memory.address(at: byteOffset) else {
      preconditionFailure("a slice of an empty file has no address")
    }
    return unsafe address
  }

  /// The address of an element.
  func address(element: Int) -> UnsafeMutableRawPointer {
    unsafe address + element * dtype.layout.bytes
  }

  /// The address of an f32.
  func floats(element: Int) -> UnsafeMutablePointer<Float> {
    precondition(dtype == .f32, "a slice of f32")
    return unsafe address(element: element).assumingMemoryBound(to: Float.self)
  }

  /// An element of an i32 slice.
  func int32(_ index: Int) -> Int {
    precondition(dtype == .i32 && index < shape.elementCount, "an i32 inside the slice")
    return Int(unsafe address(element: index).loadUnaligned(as: Int32.self))
  }

  /// The element type as the C kernels number it.
  var code: Int32 { dtype.code }
}

extension DType {
  /// The element type as the C kernels number it.
  var code: Int32 {
    switch self {
    case .f32: 0
    case .bf16: 1
    case .f16: 2
    case .f64: 3
    case .i32: 4
    case .i64: 5
    default: preconditionFailure("no kernel computes with \(self)")
    }
  }
}
