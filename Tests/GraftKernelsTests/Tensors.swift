import Glibc
import GraftCore

import GraftKernels
import TestSupport

extension MemorySlice {
  /// A tensor with these values, rounded to the dtype by Swift's own conversions.
  init(_ values: [Float], _ dtype: DType, _ shape: [Int]) throws {
    try self.init(allocating: dtype, Shape(shape))
    precondition(values.count == self.shape.elementCount)
    memory.withMutableBytes { bytes in
      bytes.withUnsafeMutableBytes { raw in
        for (i, value) in values.enumerated() {
          switch dtype {
          case .f32: raw.storeBytes(of: value, toByteOffset: 4 * i, as: Float.self)
          case .bf16:
            raw.storeBytes(of: bf16Bits(value), toByteOffset: 2 * i, as: UInt16.self)
          case .f16: raw.storeBytes(of: Float16(value), toByteOffset: 2 * i, as: Float16.self)
          case .f64: raw.storeBytes(of: Double(value), toByteOffset: 8 * i, as: Double.self)
          case .i32: raw.storeBytes(of: Int32(value), toByteOffset: 4 * i, as: Int32.self)
          case .i64: raw.storeBytes(of: Int64(value), toByteOffset: 8 * i, as: Int64.self)
          default: preconditionFailure("a dtype of the tests")
          }
        }
      }
    }
  }

  init(zeros dtype: DType, _ shape: [Int]) throws { try self.init(allocating: dtype, Shape(shape)) }

  var values: [Float] {
    bytes.withUnsafeBytes { raw in
      (0..<shape.elementCount).map { i in
        switch dtype {
        case .f32: raw.loadUnaligned(fromByteOffset: 4 * i, as: Float.self)
        case .bf16:
          Float(
            bitPattern: UInt32(raw.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)) << 16)
        case .f16: Float(raw.loadUnaligned(fromByteOffset: 2 * i, as: Float16.self))
        case .f64: Float(raw.loadUnaligned(fromByteOffset: 8 * i, as: Double.self))
        case .i32: Float(raw.loadUnaligned(fromByteOffset: 4 * i, as: Int32.self))
        case .i64: Float(raw.loadUnaligned(fromByteOffset: 8 * i, as: Int64.self))
        default: preconditionFailure("a dtype of the tests")
        }
      }
    }
  }

  /// The bytes, to compare results bit by bit.
  var image: [UInt8] { bytes.withUnsafeBytes { Array($0) } }
}

/// Nearest bf16, ties to even, by exact arithmetic on doubles.
func bf16Bits(_ x: Float) -> UInt16 {
  if x.isNaN { return UInt16(x.bitPattern >> 16) | 0x40 }
  let below = x.bitPattern & 0xFFFF_0000
  let low = Double(Float(bitPattern: below))
  let step = below &+ 0x1_0000
  let high =
    step & 0x7F80_0000 == 0x7F80_0000
    ? Double(sign: x.sign, exponent: 128, significand: 1) : Double(Float(bitPattern: step))
  let (toLow, toHigh) = (abs(Double(x) - low), abs(high - Double(x)))
  if x.isInfinite || toLow < toHigh { return UInt16(below >> 16) }
  if toHigh < toLow { return UInt16(step >> 16) }
  return UInt16((below >> 16) & 1 == 0 ? below >> 16 : step >> 16)
}

/// Sines of the index: the inputs that the golden files were made from.
func wave(_ count: Int, phase: Double, scale: Double) -> [Float] {
  (0..<count).map { Float(sin(Double($0) * 0.7391 + phase) * scale) }
}

func golden(_ name: String) throws -> [Float] {
  let file = try InputFile(path: Repository.golden("kernels/" + name))
  let memory = try Memory(mapping: file)
  return MemorySlice(memory, dtype: .f32, shape: [file.byteCount / 4]).values
}

/// The largest difference, relative to the largest magnitude.
func relativeError(_ a: [Float], _ b: [Float]) -> Float {
  precondition(a.count == b.count)
  let scale = b.map(abs).max() ?? 0
  return zip(a, b).map { abs($0 - $1) }.max().map { $0 / max(scale, 1e-30) } ?? 0
}

/// Kernels that write around the caches what is larger than `cache`.
func kernels(threads: Int = 2, _ simd: SIMDLevel = .best, cache: Int = 32 << 20) -> Kernels {
  Kernels(pool: ThreadPool(threadCount: threads), simd: simd, cacheByteCount: cache)
}
