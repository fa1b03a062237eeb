import Graft
import Testing

@Suite struct `A tree of tensors` {
  /// A line a node or leaf, indented.
  private func tree(_ names: [TensorName], _ dtypes: [DType] = []) throws -> [String] {
    let tensors = try names.enumerated().map { index, name in
      try TensorInfo(name: name, dtype: index < dtypes.count ? dtypes[index] : .f32, shape: [2])
    }
    func lines(_ node: TensorTree.Node, _ indent: String) -> [String] {
      [indent + node.label + " \(node.tensorCount)/\(node.byteCount)"]
        + node.leaves.map { leaf in
          "\(indent)= \(leaf.info.dtype) ×\(leaf.members.count)\(leaf.part.map { " in \($0)" } ?? "")"
        } + node.children.flatMap { lines($0, indent + "  ") }
    }
    return TensorTree(tensors).roots.flatMap { lines($0, "") }
  }

  @Test func `joins what nothing else shares, and folds layers`() throws {
    let names = (0..<3).flatMap { ["m.layers.\($0).a.w", "m.layers.\($0).b.w"] } + ["m.norm"]
    #expect(
      try tree(names.map { TensorName($0) }) == [
        "m 7/56", "  layers.{0…2} 6/48", "    a.w 3/24", "    = F32 ×3", "    b.w 3/24",
        "    = F32 ×3", "  norm 1/8", "  = F32 ×1",
      ])
  }

  @Test func `says which layers a dtype is of`() throws {
    #expect(
      try tree(["l.0.w", "l.1.w", "l.2.w", "l.0.v", "l.1.v", "l.2.v"], [.f32, .bf16, .f32])
        == [
          "l.{0…2} 6/44", "  w 3/20", "  = F32 ×2 in {0,2}", "  = BF16 ×1 in {1}", "  v 3/24",
          "  = F32 ×3",
        ])
  }

  @Test func `folds experts in layers, and names spelled with underscores or slashes`() throws {
    let experts = (0..<2).flatMap { layer in (0..<4).map { "x/\(layer)/e_\($0)_w" } }
    #expect(
      try tree(experts.map { TensorName($0) }) == [
        "x/{0,1}/e_{0…3}_w 8/64", "= F32 ×8",
      ])
  }

  @Test func `has a place for a name that others begin with`() throws {
    #expect(
      try tree(["a", "a.b", "a.c"]) == [
        "a 3/24", "= F32 ×1", "  b 1/8", "  = F32 ×1", "  c 1/8", "  = F32 ×1",
      ])
  }

  @Test func `keeps names apart that only look alike`() throws {
    #expect(
      try tree(["é", "e\u{301}", "", ".", "..", "a.01", "a.1"]) == [
        "é 1/8", "= F32 ×1", "e\u{301} 1/8", "= F32 ×1", " 1/8", "= F32 ×1", ". 2/16",
        "= F32 ×1", "   1/8", "  = F32 ×1", "a 2/16", "  01 1/8",
        "  = F32 ×1", "  1 1/8", "  = F32 ×1",
      ])
  }

  @Test func `takes bytes that aren't UTF-8 for what they are`() throws {
    let names = [
      TensorName(utf8: [0x61, 0x2E, 0xFF, 0x2E, 0x62]), TensorName("a.0.b"),
      TensorName(utf8: [0x61, 0x2E, 0xFF, 0x2E, 0x62, 0x2E, 0x30]),
    ]
    let groups = TensorGroup.fold(
      try names.map { try TensorInfo(name: $0, dtype: .u8, shape: []) })
    #expect(groups.map(\.members) == [[0], [1], [2]])
  }

  /// Forms that come in turn are recognized without a search, which must change nothing.
  @Test func `groups are the same in whatever order tensors come`() throws {
    let names = (0..<40).flatMap { layer in
      [
        "l.\(layer).a", "l.\(layer).b", "l.0\(layer).a", "l.\(layer)x.a",
        "l.\(layer).a.\(layer % 3)",
      ]
    }
    func groups(_ names: [String]) throws -> Set<String> {
      let tensors = try names.map { try TensorInfo(name: TensorName($0), dtype: .u8, shape: []) }
      return Set(
        TensorGroup.fold(tensors).map { group in
          group.name + group.members.map { names[$0] }.sorted().joined(separator: " ")
        })
    }
    let inTurn = try groups(names)
    #expect(inTurn.count == 3 + 40 + 40)
    #expect(try groups(names.sorted()) == inTurn)
    #expect(try groups(names.reversed()) == inTurn)
  }

  @Test func `is made of names with any number of dots and numbers`() throws {
    let dots = String(repeating: ".", count: 100_000)
    let numbers = (0..<50_000).map(String.init).joined(separator: "_")
    let tensors = try [dots, numbers, dots + "x"].map {
      try TensorInfo(name: TensorName($0), dtype: .u8, shape: [])
    }
    #expect(TensorTree(tensors).roots.reduce(0) { $0 + $1.tensorCount } == 3)
    #expect(TensorGroup.fold(tensors).map(\.name) == [dots, numbers, dots + "x"])
  }

  @Test func `is made in linear time of names that share nothing, and of those that share all`()
    throws
  {
    for isShared in [false, true] {
      func tensors(_ count: Int) throws -> [TensorInfo] {
        try (0..<count).map {
          try TensorInfo(
            name: TensorName(isShared ? "l.\($0).w" : "layer\($0).w"), dtype: .f32, shape: [])
        }
      }
      let (few, many) = (try tensors(5_000), try tensors(40_000))
      func nodes(_ tensors: [TensorInfo]) -> Int { TensorTree(tensors).roots.count }
      // Counts, not seconds: a node for each name, or one for all.
      #expect(nodes(few) == (isShared ? 1 : 5_000))
      #expect(nodes(many) == (isShared ? 1 : 40_000))
    }
  }
}
