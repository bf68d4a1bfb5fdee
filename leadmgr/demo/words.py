"""Names of invented people and companies. Who reads the demo should believe it; nobody real is meant."""

KOREAN_FAMILY = (
    ("김", "Kim"), ("이", "Lee"), ("박", "Park"), ("최", "Choi"), ("정", "Jung"), ("강", "Kang"), ("조", "Cho"),
    ("윤", "Yoon"), ("장", "Jang"), ("임", "Lim"), ("한", "Han"), ("오", "Oh"), ("서", "Seo"), ("신", "Shin"),
    ("권", "Kwon"), ("황", "Hwang"), ("안", "Ahn"), ("송", "Song"), ("류", "Ryu"), ("홍", "Hong"),
)  # fmt: skip
KOREAN_GIVEN = (
    ("민준", "Min-jun"), ("서연", "Seo-yeon"), ("지호", "Ji-ho"), ("하윤", "Ha-yoon"), ("도윤", "Do-yoon"),
    ("서준", "Seo-jun"), ("지우", "Ji-woo"), ("수아", "Su-a"), ("예준", "Ye-jun"), ("지민", "Ji-min"),
    ("현우", "Hyun-woo"), ("유진", "Yu-jin"), ("은지", "Eun-ji"), ("태현", "Tae-hyun"), ("수빈", "Su-bin"),
    ("동현", "Dong-hyun"), ("미경", "Mi-kyung"), ("성호", "Sung-ho"), ("혜진", "Hye-jin"), ("재원", "Jae-won"),
    ("소희", "So-hee"), ("영수", "Young-su"), ("나래", "Na-rae"), ("준영", "Jun-young"), ("보람", "Bo-ram"),
)  # fmt: skip
NAMES: dict[str, tuple[str, str]] = {
    "DE": (
        "Anna Ben Clara David Elif Felix Greta Hannes Ida Jonas Katrin Lukas Miriam Nils Paula Rainer Sabine "
        "Thomas Ute Volker Wiebke Yusuf",
        "Albrecht Bauer Conrad Dietrich Ebert Fuchs Graf Hoffmann Jäger Kaya König Lang Möller Neumann Otto "
        "Petersen Richter Schäfer Thiele Ullrich Vogel Weiß Yıldız Zimmermann",
    ),
    "GB": (
        "Alice Brian Charlotte Dylan Emma Fiona George Hannah Isaac Jessica Kieran Lucy Martin Niamh Oliver Priya "
        "Rosie Sam Tamsin Will",
        "Ashworth Barker Clarke Davies Ellis Foster Griffiths Hughes Ingram Jenkins Khan Lewis Morgan Naylor "
        "Owen Patel Reid Shaw Turner Walsh Young",
    ),
    "US": (
        "Aaron Brooke Caleb Dana Ethan Faith Grace Hector Irene Jordan Kayla Logan Maya Noah Olivia Peyton Quinn "
        "Ryan Sofia Tyler",
        "Adams Brooks Carter Diaz Evans Flores Green Hayes Irving Johnson Keller Long Miller Nguyen Ortiz Parker "
        "Ramirez Stone Tran Wright",
    ),
    "ES": (
        "Alba Bruno Carmen Diego Elena Francisco Gloria Hugo Inés Javier Lucía Marcos Nuria Óscar Pilar Raúl "
        "Sara Tomás",
        "Alonso Blanco Castro Domínguez Fernández García Herrera Iglesias Jiménez López Martín Navarro Ortega "
        "Peña Ramos Sánchez Torres Vidal",
    ),
}
CITIES: dict[str, tuple[str, ...]] = {
    "KR": ("Seoul", "Busan", "Incheon", "Daejeon", "Suwon", "Daegu"),
    "DE": ("Berlin", "Hamburg", "München", "Leipzig", "Köln", "Potsdam"),
    "GB": ("London", "Leeds", "Bristol", "Glasgow"),
    "US": ("Portland", "Austin", "Denver"),
    "ES": ("Madrid", "Valencia", "Bilbao"),
}
ZONES: dict[str, str] = {
    "KR": "Asia/Seoul", "DE": "Europe/Berlin", "GB": "Europe/London", "US": "America/Chicago", "ES": "Europe/Madrid",
}  # fmt: skip
LANGUAGES: dict[str, str] = {"KR": "ko", "DE": "de", "GB": "en", "US": "en", "ES": "es"}

KOREAN_FIRMS = (
    ("가람", "Garam"), ("새벽", "Saebyeok"), ("두레", "Dure"), ("한결", "Hangyeol"), ("미래로", "Miraero"),
    ("솔내", "Solnae"), ("다온", "Daon"), ("아람", "Aram"), ("누리", "Nuri"), ("온새", "Onsae"), ("벼리", "Byeori"),
    ("해담", "Haedam"), ("늘봄", "Neulbom"), ("가온", "Gaon"), ("마루", "Maru"), ("물빛", "Mulbit"),
)  # fmt: skip
KOREAN_TRADES = (
    ("물류", "Logistics", "Logistics"), ("푸드", "Foods", "Food"), ("건설", "Construction", "Construction"),
    ("소프트", "Soft", "Software"), ("병원", "Clinic", "Health care"), ("교육", "Education", "Education"),
    ("렌터카", "Rent-a-Car", "Car rental"), ("택배", "Parcel", "Delivery"),
)  # fmt: skip
FIRMS: dict[str, tuple[str, ...]] = {
    "DE": (
        "Nordlicht",
        "Havelland",
        "Steinbrück",
        "Lindenhof",
        "Morgenrot",
        "Elbufer",
        "Silberfluss",
        "Waldkauz",
    ),
    "GB": (
        "Ashdown",
        "Brackenfield",
        "Copperline",
        "Dunmore",
        "Foxglove",
        "Harbourside",
        "Millbrook",
        "Thornbury",
    ),
    "US": ("Bluestem", "Cedar Ridge", "Driftwood", "Ironwood", "Juniper Hill", "Longhorn", "Red Mesa"),
    "ES": ("Almazara", "Costa Clara", "Encinar", "Miralcampo", "Puerto Azul", "Sierra Alta"),
}
TRADES: dict[str, tuple[tuple[str, str], ...]] = {
    "DE": (("Logistik", "Logistics"), ("Pflegedienst", "Health care"), ("Handwerk", "Construction"),
           ("Energie", "Energy"), ("Kurier", "Delivery"), ("Software", "Software")),
    "GB": (("Couriers", "Delivery"), ("Energy", "Energy"), ("Care", "Health care"), ("Builders", "Construction"),
           ("Foods", "Food"), ("Digital", "Software")),
    "US": (("Logistics", "Logistics"), ("Solar", "Energy"), ("Health", "Health care"), ("Farms", "Food"),
           ("Software", "Software")),
    "ES": (("Transportes", "Logistics"), ("Alimentos", "Food"), ("Energía", "Energy"), ("Obras", "Construction")),
}  # fmt: skip
JOBS = (
    ("Fleet manager", "Operations", "Manager"), ("Head of fleet", "Operations", "Head"),
    ("Buyer", "Purchasing", "Specialist"), ("Head of purchasing", "Purchasing", "Head"),
    ("Managing director", "Management", "C-level"), ("Owner", "Management", "Owner"),
    ("Office manager", "Administration", "Manager"), ("Sustainability manager", "Strategy", "Manager"),
    ("Finance director", "Finance", "Director"), ("HR business partner", "People", "Specialist"),
    ("Field engineer", "Service", "Specialist"), ("Accountant", "Finance", "Specialist"),
)  # fmt: skip
OCCUPATIONS = (
    "Teacher",
    "Nurse",
    "Engineer",
    "Designer",
    "Student",
    "Retired",
    "Self-employed",
    "Civil servant",
    "Cook",
)
