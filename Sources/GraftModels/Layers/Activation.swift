internal import GraftCore

/// What a feed-forward network does between its projections.
public enum Activation: Sendable, Equatable {
  /// x · Φ(x) (Hendrycks & Gimpel, arXiv 1606.08415).
  case gelu
  /// Its approximation by a hyperbolic tangent.
  case geluTanh
  /// max(x, 0).
  case relu

  /// Reads the name that transformers gives an activation.
  init(_ keys: ConfigurationKeys, _ key: String, default name: String) throws(ModelError) {
    let name = keys.json[key]?.string ?? name
    switch name {
    case "gelu": self = .gelu
    case "gelu_new", "gelu_pytorch_tanh": self = .geluTanh
    case "relu": self = .relu
    default: throw keys.unsupported("activation", found: name)
    }
  }
}
