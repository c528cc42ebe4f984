"""The words of the generated world: topics in pairs of neighbours, their subjects, facets and phrases, by language."""

LOCALES = ("en", "pt", "de", "ja")

TOPICS = {
    "en": ("kitchen", "bathroom", "garden", "balcony", "cake", "bread", "hair", "nails"),
    "pt": ("cozinha", "banheiro", "jardim", "varanda", "bolo", "pão", "cabelo", "unhas"),
    "de": ("Küche", "Bad", "Garten", "Balkon", "Kuchen", "Brot", "Haare", "Nägel"),
    "ja": ("キッチン", "浴室", "庭", "ベランダ", "ケーキ", "パン", "髪", "ネイル"),
}
"""Neighbours are 0 and 1, 2 and 3, ...: a pin of the one is not quite as wrong for a query of the other."""

SUBJECTS = {
    "en": (
        ("cupboard", "worktop", "pantry", "stove", "barstool"),
        ("shower", "bathtub", "washbasin", "mirror", "towel rail"),
        ("pond", "flowerbed", "fence", "greenhouse", "lawn"),
        ("hammock", "planter", "railing", "deckchair", "awning"),
        ("cheesecake", "cupcakes", "frosting", "layer cake", "muffins"),
        ("sourdough", "baguette", "rolls", "focaccia", "toast"),
        ("braids", "bob cut", "curls", "bun", "highlights"),
        ("manicure", "gel polish", "french tips", "nail art", "cuticle care"),
    ),
    "pt": (
        ("armário", "bancada", "despensa", "fogão", "banqueta"),
        ("chuveiro", "banheira", "lavatório", "espelho", "toalheiro"),
        ("lago", "canteiro", "cerca", "estufa", "gramado"),
        ("rede", "floreira", "grade", "espreguiçadeira", "toldo"),
        ("cheesecake", "bolinhos", "cobertura", "bolo de camadas", "muffins"),
        ("fermentação natural", "baguete", "pãezinhos", "focaccia", "torrada"),
        ("tranças", "corte chanel", "cachos", "coque", "mechas"),
        ("manicure", "esmalte em gel", "francesinha", "unhas decoradas", "cutículas"),
    ),
    "de": (
        ("Schrank", "Arbeitsplatte", "Speisekammer", "Herd", "Barhocker"),
        ("Dusche", "Badewanne", "Waschbecken", "Spiegel", "Handtuchhalter"),
        ("Teich", "Blumenbeet", "Zaun", "Gewächshaus", "Rasen"),
        ("Hängematte", "Blumenkasten", "Geländer", "Liegestuhl", "Markise"),
        ("Käsekuchen", "Cupcakes", "Glasur", "Schichttorte", "Muffins"),
        ("Sauerteig", "Baguette", "Brötchen", "Focaccia", "Toast"),
        ("Zöpfe", "Bob", "Locken", "Dutt", "Strähnchen"),
        ("Maniküre", "Gellack", "French Nails", "Nageldesign", "Nagelhaut"),
    ),
    "ja": (
        ("食器棚", "調理台", "食品庫", "コンロ", "スツール"),
        ("シャワー", "浴槽", "洗面台", "鏡", "タオル掛け"),
        ("池", "花壇", "柵", "温室", "芝生"),
        ("ハンモック", "プランター", "手すり", "デッキチェア", "日よけ"),
        ("チーズケーキ", "カップケーキ", "アイシング", "レイヤーケーキ", "マフィン"),
        ("天然酵母", "バゲット", "ロールパン", "フォカッチャ", "トースト"),
        ("三つ編み", "ボブ", "巻き髪", "お団子", "ハイライト"),
        ("マニキュア", "ジェル", "フレンチ", "アート", "甘皮ケア"),
    ),
}

FACETS = {
    "en": ("rustic", "modern", "green", "pink", "small", "vintage", "wooden", "cheap"),
    "pt": ("rústico", "moderno", "verde", "rosa", "pequeno", "antigo", "madeira", "barato"),
    "de": ("rustikal", "modern", "grün", "rosa", "klein", "vintage", "Holz", "günstig"),
    "ja": ("素朴な", "モダンな", "緑の", "ピンクの", "小さい", "レトロな", "木製の", "安い"),
}

PHRASES = {
    "en": ("", "ideas", "diy", "inspiration", "step by step", "2026"),
    "pt": ("", "ideias", "faça você mesmo", "inspiração", "passo a passo", "2026"),
    "de": ("", "Ideen", "selber machen", "Inspiration", "Anleitung", "2026"),
    "ja": ("", "アイデア", "手作り", "インスピレーション", "作り方", "2026"),
}
