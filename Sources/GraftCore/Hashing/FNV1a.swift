/// The 64-bit hash FNV-1a of bytes that come one by one: quick for short ones and the same in every process, but no
/// protection against forgery.
///
/// The specification is [RFC 9923](https://www.rfc-editor.org/rfc/rfc9923).
public struct FNV1a: Sendable {
  @usableFromInline
  var state: UInt64 = 0xCBF2_9CE4_8422_2325

  /// The hash of no bytes yet.
  @inlinable
  public init() {}

  /// The hash of some bytes.
  @inlinable
  public init(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { combine(byte) }
  }

  /// Adds a byte.
  @inlinable
  public mutating func combine(_ byte: UInt8) {
    state = (state ^ UInt64(byte)) &* 0x100_0000_01B3
  }

  /// The hash of the bytes so far.
  @inlinable
  public var value: UInt64 { state }
}
