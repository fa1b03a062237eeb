internal import CKernels
package import GraftCore

extension Kernels {
  /// Converts between f16, bf16, f32 and f64, rounding once to nearest even; NaN stays NaN.
  package func convert(_ source: MemorySlice, to target: MemorySlice) {
    precondition(source.shape.elementCount == target.shape.elementCount, "as many elements")
    let level = level
    runs(of: source.shape.elementCount, length: 1 << 15) { range, _ in
      unsafe graft_convert(
        level, source.address(element: range.lowerBound), source.code,
        target.address(element: range.lowerBound), target.code, Int64(range.count))
    }
  }
}
