/// Hands out parts of a worker's scratch, one after another.
@safe struct ScratchRun: ~Copyable {
  private var next: UnsafeMutablePointer<Float>
  private var left: Int

  init(_ worker: Worker, floats count: Int) {
    unsafe next = worker.floats(count)
    left = count
  }

  mutating func take(_ count: Int) -> UnsafeMutablePointer<Float> {
    // Each part starts on a cache line.
    let whole = AttentionTile.padded(count)
    left -= whole
    precondition(left >= 0, "the scratch holds its parts")
    defer { unsafe next += whole }
    return unsafe next
  }
}
