internal import GraftCore

extension KerasLayer {
  /// The variables that a class of Keras makes for itself, those that are trained first; nil for a class that isn't known.
  static func variables(of className: String, _ configuration: JSONValue) -> [Variable]? {
    func list(_ rows: (name: String, condition: String?, isTrained: Bool)...) -> [Variable] {
      rows.filter { row in row.condition.map { isOn($0, configuration) } ?? true }
        .map { Variable(name: $0.name, isTrained: $0.isTrained) }
    }
    switch className {
    case "Dense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose",
      "Conv3DTranspose", "DepthwiseConv1D", "DepthwiseConv2D":
      return list(("kernel", nil, true), ("bias", "use_bias", true))
    case "EinsumDense": return list(("kernel", nil, true), ("bias", "bias_axes", true))
    case "SeparableConv1D", "SeparableConv2D":
      return list(
        ("depthwise_kernel", nil, true), ("pointwise_kernel", nil, true),
        ("bias", "use_bias", true))
    case "Embedding": return list(("embeddings", nil, true))
    case "LSTMCell", "GRUCell", "SimpleRNNCell", "ConvLSTM1DCell", "ConvLSTM2DCell",
      "ConvLSTM3DCell":
      return list(
        ("kernel", nil, true), ("recurrent_kernel", nil, true), ("bias", "use_bias", true))
    case "LayerNormalization", "GroupNormalization":
      return list(("gamma", "scale", true), ("beta", "center", true))
    case "BatchNormalization":
      return list(
        ("gamma", "scale", true), ("beta", "center", true), ("moving_mean", nil, false),
        ("moving_variance", nil, false))
    case "RMSNormalization": return list(("scale", nil, true))
    // Given statistics aren't variables.
    case "Normalization" where configuration["mean"]?.isNull ?? true:
      return list(("mean", nil, false), ("variance", nil, false), ("count", nil, false))
    case "PReLU": return list(("alpha", nil, true))
    case "MultiHeadAttention", "GroupQueryAttention", "LSTM", "GRU", "SimpleRNN", "RNN",
      "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "StackedRNNCells", "Bidirectional",
      "TimeDistributed", "Normalization":
      return []
    default: return nil
    }
  }

  /// Whether a switch of a configuration is on, which it is where nothing is said.
  private static func isOn(_ key: String, _ configuration: JSONValue) -> Bool {
    guard let value = configuration[key] else { return true }
    return value != false && !value.isNull
  }
}
