package import GraftCore

/// An attribute of a group or dataset, as one file has it and another one gets it.
package struct HDF5Attribute: Sendable, Equatable {
  /// The name.
  package let name: String
  /// The extents: none for a scalar; nil for an attribute of a type without a value.
  package let extents: [Int]?
  /// The values, in row-major order.
  package let value: Value

  /// What an attribute holds.
  package enum Value: Sendable, Equatable {
    /// Numbers of a dtype, little-endian.
    case numbers([UInt8], DType)
    /// Texts of a fixed number of bytes, as they stand.
    case paddedTexts([UInt8], byteCount: Int, HDF5TextForm)
    /// Texts of any length.
    case heapTexts([[UInt8]], HDF5TextForm)
  }
}

/// How text is written down.
package struct HDF5TextForm: Sendable, Equatable {
  /// What fills the bytes behind a text, by HDF5's number: a NUL and anything (0), NULs (1), spaces (2).
  package let padding: Int
  /// The characters, likewise: ASCII (0), UTF-8 (1).
  package let characters: Int

  /// The numbers as a datatype's bits have them.
  init(_ bits: UInt64) { (padding, characters) = (Int(bits & 15), Int(bits >> 4 & 15)) }

  /// Whether the numbers are those that there are.
  var isKnown: Bool { padding <= 2 && characters <= 1 }
}
