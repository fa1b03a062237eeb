internal import GraftCore

extension GGUFParameters {
  /// The keys of the architecture.
  var entries: [(key: String, value: GGUFValue)] {
    func integer(_ key: String, _ value: Int) -> (key: String, value: GGUFValue) {
      (key, .unsigned(UInt64(value), bits: 32))
    }
    var entries = [
      integer("block_count", layers), integer("context_length", context),
      integer("embedding_length", hidden), integer("feed_forward_length", intermediate),
      integer("attention.head_count", heads),
    ]
    if architecture == .gpt2 {
      entries.append(("attention.layer_norm_epsilon", .float32(normEpsilon)))
    } else {
      entries += [
        integer("attention.head_count_kv", keyValueHeads),
        ("attention.layer_norm_rms_epsilon", .float32(normEpsilon)),
        integer("attention.key_length", headWidth), integer("attention.value_length", headWidth),
        integer("rope.dimension_count", headWidth), ("rope.freq_base", .float32(ropeTheta)),
      ]
      entries += ropeScaling.entries
    }
    if let slidingWindow { entries.append(integer("attention.sliding_window", slidingWindow)) }
    if let slidingLayers, slidingWindow != nil {
      entries.append(("rope.freq_base_swa", .float32(localRopeTheta)))
      // Readers take every sixth layer for one without a window unless they are told.
      if slidingLayers != (1...slidingLayers.count).map({ $0 % 6 != 0 }) {
        entries.append(("attention.sliding_window_pattern", .array(.bools(slidingLayers))))
      }
    }
    entries.append(integer("vocab_size", vocabulary))
    return entries.map { (architecture.rawValue + "." + $0.key, $0.value) }
  }
}
