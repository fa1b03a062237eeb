/// The opcodes that are followed: those which describe data, and calls whose meaning is known.
enum PickleOpcode: UInt8 {
  case proto = 0x80
  case stop = 0x2E
  case frame = 0x95
  case mark = 0x28
  case none = 0x4E
  case newTrue = 0x88
  case newFalse = 0x89
  case byte = 0x4B
  case short = 0x4D
  case int = 0x4A
  case long1 = 0x8A
  case long4 = 0x8B
  case float = 0x47
  case unicode = 0x58
  case shortUnicode = 0x8C
  case unicode8 = 0x8D
  case shortString = 0x55
  case string4 = 0x54
  case shortBytes = 0x43
  case bytes4 = 0x42
  case bytes8 = 0x8E
  case byteArray8 = 0x96
  case emptyTuple = 0x29
  case tuple1 = 0x85
  case tuple2 = 0x86
  case tuple3 = 0x87
  case tuple = 0x74
  case emptyList = 0x5D
  case emptySet = 0x8F
  case frozenSet = 0x91
  case emptyDictionary = 0x7D
  case append = 0x61
  case appends = 0x65
  case addItems = 0x90
  case setItem = 0x73
  case setItems = 0x75
  case global = 0x63
  case stackGlobal = 0x93
  case put = 0x71
  case longPut = 0x72
  case memoize = 0x94
  case get = 0x68
  case longGet = 0x6A
  case persistentID = 0x51
  case reduce = 0x52
  case newObject = 0x81
  case build = 0x62

  /// What the others are called, for errors.
  static let refusedNames: [UInt8: String] = [
    0x30: "POP", 0x31: "POP_MARK", 0x32: "DUP", 0x46: "FLOAT", 0x49: "INT", 0x4C: "LONG",
    0x50: "PERSID", 0x53: "STRING", 0x56: "UNICODE", 0x64: "DICT", 0x67: "GET", 0x69: "INST",
    0x6C: "LIST", 0x6F: "OBJ", 0x70: "PUT", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4",
    0x92: "NEWOBJ_EX", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
  ]
}
