/// Puts examples into as few windows as a simple rule finds.
enum Packing {
  /// First fit: each example goes into the first window that has room for it, in the order given.
  ///
  /// A tree of the windows' room finds that window in logarithmic time.
  ///
  /// - Returns: The examples of each window.
  static func firstFit(_ lengths: [Int], capacity: Int) -> [[Int]] {
    var leaves = 1
    while leaves < lengths.count { leaves *= 2 }
    // room[1] is the root; windows that aren't begun have room for anything.
    var room = [Int](repeating: capacity, count: 2 * leaves)
    var windows: [[Int]] = []
    for (example, length) in lengths.enumerated() {
      precondition(length <= capacity, "an example that was cut fits a window")
      var node = 1
      while node < leaves { node = room[2 * node] >= length ? 2 * node : 2 * node + 1 }
      let window = node - leaves
      if window == windows.count { windows.append([]) }
      windows[window].append(example)
      room[node] -= length
      while node > 1 {
        node /= 2
        room[node] = max(room[2 * node], room[2 * node + 1])
      }
    }
    return windows
  }
}
