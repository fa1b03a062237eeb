/// A set of general categories of Unicode.
struct CategorySet: OptionSet, Sendable {
  let rawValue: UInt32

  init(rawValue: UInt32) { self.rawValue = rawValue }

  static let uppercaseLetter = CategorySet(rawValue: 1 << 0)
  static let lowercaseLetter = CategorySet(rawValue: 1 << 1)
  static let titlecaseLetter = CategorySet(rawValue: 1 << 2)
  static let modifierLetter = CategorySet(rawValue: 1 << 3)
  static let otherLetter = CategorySet(rawValue: 1 << 4)
  static let nonspacingMark = CategorySet(rawValue: 1 << 5)
  static let spacingMark = CategorySet(rawValue: 1 << 6)
  static let enclosingMark = CategorySet(rawValue: 1 << 7)
  static let decimalNumber = CategorySet(rawValue: 1 << 8)
  static let letterNumber = CategorySet(rawValue: 1 << 9)
  static let otherNumber = CategorySet(rawValue: 1 << 10)
  static let connectorPunctuation = CategorySet(rawValue: 1 << 11)
  static let dashPunctuation = CategorySet(rawValue: 1 << 12)
  static let openPunctuation = CategorySet(rawValue: 1 << 13)
  static let closePunctuation = CategorySet(rawValue: 1 << 14)
  static let initialPunctuation = CategorySet(rawValue: 1 << 15)
  static let finalPunctuation = CategorySet(rawValue: 1 << 16)
  static let otherPunctuation = CategorySet(rawValue: 1 << 17)
  static let mathSymbol = CategorySet(rawValue: 1 << 18)
  static let currencySymbol = CategorySet(rawValue: 1 << 19)
  static let modifierSymbol = CategorySet(rawValue: 1 << 20)
  static let otherSymbol = CategorySet(rawValue: 1 << 21)
  static let spaceSeparator = CategorySet(rawValue: 1 << 22)
  static let lineSeparator = CategorySet(rawValue: 1 << 23)
  static let paragraphSeparator = CategorySet(rawValue: 1 << 24)
  static let control = CategorySet(rawValue: 1 << 25)
  static let format = CategorySet(rawValue: 1 << 26)

  /// The set of one category; of none for surrogates, private use and what isn't assigned.
  init(_ category: Unicode.GeneralCategory) {
    self =
      switch category {
      case .uppercaseLetter: .uppercaseLetter
      case .lowercaseLetter: .lowercaseLetter
      case .titlecaseLetter: .titlecaseLetter
      case .modifierLetter: .modifierLetter
      case .otherLetter: .otherLetter
      case .nonspacingMark: .nonspacingMark
      case .spacingMark: .spacingMark
      case .enclosingMark: .enclosingMark
      case .decimalNumber: .decimalNumber
      case .letterNumber: .letterNumber
      case .otherNumber: .otherNumber
      case .connectorPunctuation: .connectorPunctuation
      case .dashPunctuation: .dashPunctuation
      case .openPunctuation: .openPunctuation
      case .closePunctuation: .closePunctuation
      case .initialPunctuation: .initialPunctuation
      case .finalPunctuation: .finalPunctuation
      case .otherPunctuation: .otherPunctuation
      case .mathSymbol: .mathSymbol
      case .currencySymbol: .currencySymbol
      case .modifierSymbol: .modifierSymbol
      case .otherSymbol: .otherSymbol
      case .spaceSeparator: .spaceSeparator
      case .lineSeparator: .lineSeparator
      case .paragraphSeparator: .paragraphSeparator
      case .control: .control
      case .format: .format
      case .surrogate, .privateUse, .unassigned: []
      @unknown default: []
      }
  }

  /// Whether the category of a code point is in the set.
  func includes(_ scalar: Unicode.Scalar) -> Bool {
    !isDisjoint(with: CategorySet(scalar.properties.generalCategory))
  }
}
