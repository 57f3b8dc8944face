/**
 * The most frequent words without a meaning of their own, of the languages that documents come in most. One set for
 * all: a word that is empty in one of them and full in another is rare, and a document seldom turns on it.
 */
export const STOP_WORDS: ReadonlySet<string> = new Set(
  [
    // English
    "a an the and or but nor if then else than that this these those there here it its it's he she they we you i me my your his her our their them us him",
    "is are was were be been being am do does did done has have had having can could will would shall should may might must not no yes of to in on at by for",
    "from with without into onto over under about as so such also only just very more most some any each all both few other own same too out up down off again",
    "what which who whom whose when where why how because while during before after between through until against doesn't don't isn't can't cannot let get",
    // German
    "der die das den dem des ein eine einer eines einem einen kein keine und oder aber auch als wie wenn dann so doch nur noch schon sehr mehr im in an am auf aus",
    "bei beim bis durch für gegen mit nach ohne über um unter von vom vor zu zum zur ist sind war waren sei seien sein wird werden wurde wurden worden hat haben",
    "hatte hatten kann können konnte soll sollen muss müssen darf dürfen mag will ich du er sie es wir ihr mich mir sich uns euch ihm ihn ihnen ihre ihrer ihren",
    "seine seiner seinen dass daß ob weil da hier dort dies diese dieser dieses diesem diesen jede jeder jedes jedem jeden alle allen aller alles was wer wo",
    "warum wann welche welcher welches nicht nichts man einige solche zwischen während gibt gilt heißt falls also sodass bzw etwa",
    // French
    "le la les un une des du de d l au aux et ou mais donc or ni car que qui quoi dont où ce cet cette ces il elle ils elles on nous vous je tu se sa son ses leur",
    "leurs mon ma mes ton ta tes notre nos votre vos est sont était étaient être été a ont avait avoir fait faire pas ne plus moins très aussi comme dans sur sous",
    "par pour avec sans entre vers chez si y en c'est d'un d'une qu'il qu'elle tout tous toute toutes même autre autres",
    // Spanish, Portuguese, Italian, Dutch
    "el los las una unos unas y o u pero del al con sin por para como que se su sus lo le les es son era fue ser está están no sí más muy ya si este esta estos",
    "estas ese esa eso hay ha han entre sobre cuando donde o os as um uma uns umas e mas do da dos das no na nos nas em com sem por para que se seu sua é são foi",
    "não mais muito já este esta isso il lo gli i un uno una e ed o ma di del della dei degli delle da dal in nel nella con su per tra fra che chi cui è sono era non",
    "più anche come questo questa de het een en of maar want van voor met zonder op onder naar uit bij tot door over aan om te is zijn was waren wordt worden werd",
    "heeft hebben had niet geen ook als dan dat die dit deze wat wie waar hoe er ze zij hij wij je nog wel",
  ]
    .join(" ")
    .split(" "),
);
