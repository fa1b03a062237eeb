internal import CKernels
internal import GraftCore

/// Orders the members of one chain and turns them into links.
///
/// The chain holds one value at a time; the next member is one that goes on with it, where there is one. A value that
/// is needed again once another takes its place is put aside.
struct ChainBuilder {
  private(set) var links: [graft_chain_link] = []
  private(set) var operands: [graft_chain_operand] = []
  /// The row reductions, in the order of their places.
  private(set) var reductions: [Int] = []
  private(set) var access: MemoryAccess

  private let stages: TileStages
  private let members: [Int]
  private let storesLast: Bool
  /// The value that the chain holds.
  private var held: Int?
  /// Reads by members that are still to come.
  private var remaining: [Int: Int] = [:]
  private var temporaries: [Int: Int] = [:]
  private var freeTemporaries: [Int] = []
  private var temporaryCount = 0

  init(_ stages: TileStages, _ members: [Int], storesLast: Bool, access: MemoryAccess) {
    self.stages = stages
    self.members = members
    self.storesLast = storesLast
    self.access = access
    for member in members {
      for operand in stages.nodes[member].operands { remaining[operand, default: 0] += 1 }
    }
  }

  /// Whether the chain keeps to the machine's limits.
  var fits: Bool {
    operands.count <= GRAFT_CHAIN_OPERANDS
      && temporaryCount <= GRAFT_CHAIN_TEMPORARIES
      && reductions.count <= GRAFT_CHAIN_REDUCTIONS
  }

  private func node(_ index: Int) -> TileNode { stages.nodes[index] }

  // MARK: - Order

  mutating func build() {
    var waiting = members
    if storesLast { waiting.removeAll { node($0).isStore } }
    emit(all: waiting)
    if storesLast {
      emit(all: members.filter { node($0).isStore })
    }
    append(GRAFT_LINK_END)
  }

  private mutating func emit(all members: [Int]) {
    var waiting = members
    var pending = Set(waiting)
    while !waiting.isEmpty {
      let ready = waiting.indices.filter { i in
        node(waiting[i]).operands.allSatisfy { !pending.contains($0) }
      }
      // What doesn't change the held value comes first, then what goes on with it.
      func rank(_ index: Int) -> Int {
        let node = node(waiting[index])
        guard let held, node.operands.contains(held) else { return 2 }
        return node.definesValue && !node.isReduction ? 1 : 0
      }
      guard let next = ready.min(by: { (rank($0), $0) < (rank($1), $1) }) else {
        preconditionFailure("nodes stand in the order of their dependencies")
      }
      let member = waiting.remove(at: next)
      emit(member)
      pending.remove(member)
    }
  }

  // MARK: - Links

  private mutating func emit(_ index: Int) {
    let node = node(index)
    switch node.op {
    case Int(GRAFT_STORE.rawValue):
      bring(node.operands[0])
      consume(node.operands[0])
      store(node)
    case Int(GRAFT_COLUMN_SUM.rawValue):
      bring(node.operands[0])
      consume(node.operands[0])
      append(
        GRAFT_LINK_COLUMN_SUM, operand(Int32(GRAFT_COLUMN_SUMS), node.binding, TileNode.perColumn)
      )
    case Int(GRAFT_ROW_SUM.rawValue), Int(GRAFT_ROW_MAXIMUM.rawValue):
      bring(node.operands[0])
      consume(node.operands[0])
      append(
        node.has(GRAFT_ROW_SUM) ? GRAFT_LINK_ROW_SUM : GRAFT_LINK_ROW_MAXIMUM, reductions.count)
      reductions.append(index)
    case Int(GRAFT_ROTATE_HALF.rawValue):
      let source = node.operands[0]
      let isInPlace = stages.rotatesInPlace(index)
      release(held)
      let place = isInPlace ? inMemory(source) : inSlot(source)
      consume(source)
      let isBF16 = place.kind == Int(GRAFT_IN_BF16.rawValue)
      append(
        isBF16 ? GRAFT_LINK_ROTATED_BF16 : GRAFT_LINK_ROTATED_F32, place.index, width: node.width)
      define(index)
    case Int(GRAFT_EXPAND.rawValue):
      release(held)
      let place = place(of: node.operands[0])
      consume(node.operands[0])
      append(withOperand: GRAFT_LINK_LOAD, place)
      define(index)
    case Int(GRAFT_DROPOUT_MASK.rawValue):
      release(held)
      access.read(node.binding)
      let batch = operand(Int32(node.binding), 0, TileNode.scalar)
      append(GRAFT_LINK_DROPOUT_MASK, batch, mask: node.width)
      define(index)
    case Int(GRAFT_SELECT.rawValue): select(index, node.operands)
    case Int(GRAFT_ADD.rawValue)...Int(GRAFT_EQUAL.rawValue): binary(index, node)
    default:
      bring(node.operands[0])
      consume(node.operands[0])
      release(node.operands[0])
      append(Self.link(ofUnary: node.op))
      define(index)
    }
  }

  private mutating func binary(_ index: Int, _ node: TileNode) {
    let (x, y) = (node.operands[0], node.operands[1])
    let isReversed = held == y && x != y
    let (first, second) = isReversed ? (y, x) : (x, y)
    bring(first)
    if first == second, !isPlaced(second) { putAside(second) }
    consume(first)
    if first != second { release(first) }
    let place = place(of: second)
    let links = Self.links(ofBinary: node.op)
    append(withOperand: isReversed ? links.reversed : links.plain, place)
    consume(second)
    if first == second { release(first) }
    define(index)
  }

  private mutating func select(_ index: Int, _ operands: [Int]) {
    bring(operands[0])
    for choice in operands.dropFirst() where choice == operands[0] && !isPlaced(choice) {
      putAside(choice)
    }
    remaining[operands[0], default: 1] -= 1
    release(operands[0])
    let (p, q) = (place(of: operands[1]), place(of: operands[2]))
    var link = graft_chain_link()
    link.code = Int16(GRAFT_LINK_SELECT.rawValue)
    link.operand = (Int16(p.index), Int16(q.index))
    link.place = (Int16(p.kind), Int16(q.kind))
    links.append(link)
    remaining[operands[0], default: 0] += 1
    for operand in operands { consume(operand) }
    define(index)
  }

  private mutating func store(_ node: TileNode) {
    let value = stages.nodes[node.operands[0]]
    let link: graft_link_code
    switch stages.layouts[node.binding].dtype {
    case .bf16:
      let isRounded =
        value.has(GRAFT_ROUND_BF16)
        || value.has(GRAFT_LOAD) && stages.layouts[value.binding].dtype == .bf16
      link = isRounded ? GRAFT_LINK_STORE_ROUNDED_BF16 : GRAFT_LINK_STORE_BF16
    case .f16: link = GRAFT_LINK_STORE_F16
    default: link = GRAFT_LINK_STORE_F32
    }
    append(link, operand(Int32(node.binding), 0, TileNode.full))
    access.write(node.binding)
  }

  // MARK: - Values

  /// Makes the chain hold a value.
  private mutating func bring(_ value: Int) {
    guard held != value else { return }
    release(held)
    append(withOperand: GRAFT_LINK_LOAD, place(of: value))
    held = value
  }

  /// Puts a value aside if it is needed again, because another takes its place.
  private mutating func release(_ value: Int?) {
    guard let value, held == value, remaining[value, default: 0] > 0, !isPlaced(value) else {
      return
    }
    putAside(value)
  }

  private mutating func putAside(_ value: Int) {
    let temporary = freeTemporaries.popLast() ?? temporaryCount
    temporaryCount = max(temporaryCount, temporary + 1)
    temporaries[value] = temporary
    append(GRAFT_LINK_SAVE, temporary)
  }

  private mutating func consume(_ value: Int) {
    remaining[value, default: 1] -= 1
    if remaining[value] == 0, let temporary = temporaries.removeValue(forKey: value) {
      freeTemporaries.append(temporary)
    }
  }

  private mutating func define(_ value: Int) {
    held = value
    if let slot = stages.slot[value] {
      append(GRAFT_LINK_STORE_F32, operand(Int32(GRAFT_SLOT), slot, TileNode.full))
    }
  }

  /// Whether a value can be read from somewhere.
  private func isPlaced(_ value: Int) -> Bool {
    temporaries[value] != nil || stages.slot[value] != nil || stages.isInPlace(value)
  }

  private typealias Place = (kind: Int, index: Int)

  private mutating func place(of value: Int) -> Place {
    if let temporary = temporaries[value] {
      return (Int(GRAFT_IN_TEMPORARY.rawValue), temporary)
    }
    return stages.slot[value] == nil ? inMemory(value) : inSlot(value)
  }

  private mutating func inMemory(_ value: Int) -> Place {
    let node = node(value)
    let isBF16 = stages.layouts[node.binding].dtype == .bf16
    access.read(node.binding)
    return (
      Int((isBF16 ? GRAFT_IN_BF16 : GRAFT_IN_F32).rawValue),
      operand(Int32(node.binding), 0, node.form)
    )
  }

  private mutating func inSlot(_ value: Int) -> Place {
    guard let slot = stages.slot[value] else { preconditionFailure("the value was kept") }
    let form = node(value).form
    let kind = form & TileNode.perColumn != 0 ? GRAFT_IN_F32 : GRAFT_IN_ONE
    return (Int(kind.rawValue), operand(Int32(GRAFT_SLOT), slot, form))
  }

  private mutating func operand(_ source: Int32, _ index: Int, _ form: UInt8) -> Int {
    let known = operands.firstIndex {
      $0.source == source && $0.index == Int32(index) && $0.form == Int32(form)
    }
    if let known { return known }
    operands.append(
      graft_chain_operand(source: source, index: Int32(index), form: Int32(form)))
    return operands.count - 1
  }

  // MARK: - Codes

  private mutating func append(
    _ code: graft_link_code, _ operand: Int = 0, mask: Int = 0, width: Int = 0
  ) {
    var link = graft_chain_link()
    link.code = Int16(code.rawValue)
    link.operand = (Int16(operand), Int16(mask))
    link.width = Int16(width)
    links.append(link)
  }

  private mutating func append(withOperand link: graft_operand_link, _ place: Place) {
    var own = graft_chain_link()
    own.code = Int16(Int(link.rawValue) * Int(GRAFT_PLACES.rawValue) + place.kind)
    own.operand.0 = Int16(place.index)
    links.append(own)
  }

  /// The links of a binary operation on the held value and an operand, and on an operand and the held value.
  private static func links(
    ofBinary op: Int
  ) -> (plain: graft_operand_link, reversed: graft_operand_link) {
    switch op {
    case Int(GRAFT_ADD.rawValue): (GRAFT_LINK_ADD, GRAFT_LINK_ADD)
    case Int(GRAFT_SUBTRACT.rawValue): (GRAFT_LINK_SUBTRACT, GRAFT_LINK_SUBTRACT_FROM)
    case Int(GRAFT_MULTIPLY.rawValue): (GRAFT_LINK_MULTIPLY, GRAFT_LINK_MULTIPLY)
    case Int(GRAFT_DIVIDE.rawValue): (GRAFT_LINK_DIVIDE, GRAFT_LINK_DIVIDE_INTO)
    case Int(GRAFT_MAXIMUM.rawValue): (GRAFT_LINK_MAXIMUM, GRAFT_LINK_MAXIMUM_WITH)
    case Int(GRAFT_MINIMUM.rawValue): (GRAFT_LINK_MINIMUM, GRAFT_LINK_MINIMUM_WITH)
    case Int(GRAFT_LESS.rawValue): (GRAFT_LINK_LESS, GRAFT_LINK_GREATER)
    case Int(GRAFT_EQUAL.rawValue): (GRAFT_LINK_EQUAL, GRAFT_LINK_EQUAL)
    default: preconditionFailure("a binary operation")
    }
  }

  private static func link(ofUnary op: Int) -> graft_link_code {
    switch op {
    case Int(GRAFT_NEGATE.rawValue): GRAFT_LINK_NEGATE
    case Int(GRAFT_EXP.rawValue): GRAFT_LINK_EXP
    case Int(GRAFT_LOG.rawValue): GRAFT_LINK_LOG
    case Int(GRAFT_SQUARE_ROOT.rawValue): GRAFT_LINK_SQUARE_ROOT
    case Int(GRAFT_RECIPROCAL_SQUARE_ROOT.rawValue): GRAFT_LINK_RECIPROCAL_SQUARE_ROOT
    case Int(GRAFT_RECIPROCAL.rawValue): GRAFT_LINK_RECIPROCAL
    case Int(GRAFT_TANH.rawValue): GRAFT_LINK_TANH
    case Int(GRAFT_SIGMOID.rawValue): GRAFT_LINK_SIGMOID
    case Int(GRAFT_ERF.rawValue): GRAFT_LINK_ERF
    case Int(GRAFT_ABSOLUTE.rawValue): GRAFT_LINK_ABSOLUTE
    case Int(GRAFT_SQUARE.rawValue): GRAFT_LINK_SQUARE
    case Int(GRAFT_SINE.rawValue): GRAFT_LINK_SINE
    case Int(GRAFT_COSINE.rawValue): GRAFT_LINK_COSINE
    case Int(GRAFT_ROUND_BF16.rawValue): GRAFT_LINK_ROUND_BF16
    case Int(GRAFT_ROUND_F16.rawValue): GRAFT_LINK_ROUND_F16
    default: preconditionFailure("a unary operation")
    }
  }
}
