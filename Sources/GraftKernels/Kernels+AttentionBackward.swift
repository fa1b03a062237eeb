internal import CKernels
package import GraftCore

extension Kernels {
  /// The gradients of q, k and v from that of the output; scores are made again from logSumExp.
  ///
  /// Extents as in ``attention(_:_:_:segments:into:logSumExp:shape:)``; the gradients may have any float types.
  package func attentionBackward(
    _ q: MemorySlice, _ k: MemorySlice, _ v: MemorySlice, _ o: MemorySlice, logSumExp: MemorySlice,
    outputGradient: MemorySlice, segments: MemorySlice? = nil, into dq: MemorySlice,
    _ dk: MemorySlice, _ dv: MemorySlice, shape: AttentionShape
  ) {
    let workers = workers
    let tile = tile(shape, of: q.dtype, k.dtype, v.dtype)
    let backward = AttentionBackward(
      q: q, k: k, v: v, o: o, logSumExp: logSumExp, outputGradient: outputGradient, dq: dq,
      shape: shape, visible: VisibleKeys(shape, segments: segments), tile: tile)
    let parts = AttentionBackward.parts(shape, backward.visible, tile)
    // A part sums gradients of all the keys that it sees; the sums are added in the parts' order.
    shared.lend(parts.reduce(0) { $0 + $1.sumCount(tile) } * 4) { sums in
      pool.run(count: parts.count) { task, worker in
        // Later parts see more keys.
        backward.run(parts[parts.count - 1 - task], sums: sums, workers[worker])
      }
      add(parts, of: sums, into: dk, dv, shape, tile)
    }
  }

  private func add(
    _ parts: [AttentionBackward.Part], of sums: Memory, into dk: MemorySlice, _ dv: MemorySlice,
    _ shape: AttentionShape, _ tile: AttentionTile
  ) {
    let workers = workers
    let heads = (0..<shape.batch * shape.keyValueHeads).map {
      AttentionHead(
        shape: shape, batch: $0 / shape.keyValueHeads, head: $0 % shape.keyValueHeads * shape.group)
    }
    let length = AttentionBackward.keysOfRun
    let runs = (shape.sequence + length - 1) / length
    pool.run(count: heads.count * runs) { task, worker in
      let head = heads[task / runs]
      let start = task % runs * length
      let keys = start..<min(shape.sequence, start + length)
      for (isValue, target) in [(false, dk), (true, dv)] {
        let room = unsafe workers[worker].floats(length * tile.width)
        unsafe room.update(repeating: 0, count: keys.count * tile.width)
        for part in parts where part.head == head.head && part.batch == head.batch {
          let shared = part.keys.clamped(to: keys)
          guard !shared.isEmpty else { continue }
          unsafe graft_add_scaled(
            tile.level, part.sum(in: sums, of: shared.lowerBound, isValue: isValue, tile),
            isValue ? 1 : shape.scale, room + (shared.lowerBound - start) * tile.width,
            Int64(shared.count * tile.width))
        }
        let result = unsafe Matrix(
          room, .f32, rows: keys.count, columns: shape.headDim, stride: tile.width)
        unsafe result.copy(to: head.keys(target, keys, rows: shape.sequence), level: tile.level)
      }
    }
  }
  /// The scratch of ``attentionBackward(_:_:_:_:logSumExp:outputGradient:segments:into:_:_:shape:)`` on operands of these types.
  package func need(
    attentionBackward shape: AttentionShape, _ q: DType, _ k: DType, _ v: DType, hasSegments: Bool
  ) -> ScratchNeed {
    AttentionBackward.need(shape, hasSegments: hasSegments, tile(shape, of: q, k, v))
  }
}
