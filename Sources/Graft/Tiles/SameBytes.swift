internal import Glibc
internal import GraftCore

extension RawSpan {
  /// Whether two runs of memory hold the same bytes.
  func isSame(as other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    // Safety: both pointers are good for byteCount bytes inside the closures.
    return unsafe withUnsafeBytes { left in
      unsafe other.withUnsafeBytes { right in
        guard let left = left.baseAddress, let right = right.baseAddress else { return true }
        return unsafe memcmp(left, right, byteCount) == 0
      }
    }
  }
}
