"""Word lists of the generated sample. No real person: parts are joined at random."""

FIRST = """Ada Alan Alice Amir Ana Andre Anika Anton Aria Asha Ben Bianca Bruno Carla Carlos Celia Chen
Clara Colin Dana Daniel Dara David Diego Dora Edith Elena Eli Emma Erik Esther Fatima Felix Fiona Frank
Gabriel Gina Grace Greta Hana Hannah Hector Helen Hugo Ida Igor Ines Iris Isaac Ivan Jack Jada James Jana
Jasmine Joel Johan Jonas Julia Kai Karen Kenji Kira Lara Lars Laura Leah Leo Lena Liam Lila Linda Luis
Maeve Malik Mara Marcus Maria Martin Maya Mei Mila Mona Nadia Naomi Nina Noah Nora Olga Omar Oscar Otto
Paula Pedro Petra Quinn Rafael Rana Rosa Ruth Samir Sara Selma Simon Sofia Stefan Tara Theo Tomas Uma
Vera Victor Wanda Xena Yara Yusuf Zara Zoe""".split()

# As the hospital would write it, were nobody careless; the sample shouts and whispers some of them.
LAST = """Adams Allen Andersen Baker Barnes Becker Bell Bennett Berg Blake Boyd Brooks Bryant Burke Burton
Carter Chavez Clark Cole Cooper Cruz Dalton Dawson Diaz Dixon Doyle Drake Duncan Eaton Ellis Evans Farrell
Fields Fischer Fleming Flores Foster Fowler Franklin Garcia Gibson Graham Grant Green Griffin Hale Hall
Hansen Harper Hayes Henson Holt Horton Hughes Hunt Ibarra Irwin Jacobs Jensen Jordan Keller Kemp Klein
Knight Lambert Larsen Lawson Leblanc Lopez Lowe Lucas Lynch Marsh Mason Meyer Miller Moore Morales Moran
Moss Nash Newton Nolan Norris Olsen Ortega Owens Palmer Parker Patel Payne Perez Porter Powell Quigley
Ramos Reed Reyes Rhodes Rivera Roach Rossi Rowe Russo Salazar Santos Sharp Shaw Silva Singh Stein Stone
Suarez Sutton Swanson Thorne Torres Tran Tucker Vargas Vaughn Vega Wagner Walsh Watts Webb Weber Wells
West Wolfe Wong Woods Yates York Young Zamora Ziegler""".split()

# Where proper case is more than a capital letter, and where one byte is not one character.
HARD_LAST = ["O'Brien", "McDonald", "Smith-Jones", "de la Cruz", "Ünal", "Müller", "García", "O'Neill",
             "McCarthy", "Núñez", "Lefèvre", "Björk"]

STREETS = """Oak Maple Cedar Pine Elm Walnut Lake Hill River Park Church Mill Spring Ridge Sunset Valley
Highland Forest Meadow Garden""".split()
STREET_KINDS = ["St", "Ave", "Rd", "Blvd", "Ln", "Dr", "Ct", "Way"]
PLACES = [("Springfield", "IL", "62701"), ("Madison", "WI", "53703"), ("Austin", "TX", "78701"),
          ("Columbus", "OH", "43215"), ("Denver", "CO", "80202"), ("Salem", "OR", "97301"),
          ("Augusta", "ME", "04330"), ("Boise", "ID", "83702"), ("Albany", "NY", "12207"),
          ("Tampa", "FL", "33602"), ("Reno", "NV", "89501"), ("Santa Fe", "NM", "87501"),
          ("St. Paul", "MN", "55101"), ("Fort Wayne", "IN", "46802"), ("Macon", "GA", "31201")]
AREA_CODES = ["217", "312", "415", "503", "512", "608", "614", "702", "720", "813", "206", "207", "208",
              "518", "505", "651", "260", "478"]

DEPARTMENTS = ["Emergency", "Cardiology", "Orthopedics", "Radiology", "Pediatrics", "Oncology",
               "Neurology", "Surgery", "Maternity", "Dermatology", "Urology", "Laboratory"]
SPECIALTIES = ["Emergency Medicine", "Cardiology", "Orthopedics", "Radiology", "Pediatrics", "Oncology",
               "Neurology", "General Surgery", "Obstetrics", "Dermatology", "Urology", "Pathology"]
PROCEDURES = ["99213", "99214", "99203", "99285", "71046", "93000", "80053", "85025", "36415", "70450",
              "45378", "29881", "27447", "59400", "11042", "17110", "52000", "88305", "90471", "97110"]
DIAGNOSES = ["I10", "E11.9", "J06.9", "M54.5", "R07.9", "K21.9", "N39.0", "F41.1", "G43.909", "L70.0",
             "Z00.00", "S93.401A", "O80", "C50.919", "H52.4", "B34.9", "D64.9", "I25.10", "J45.909", "R51.9"]
PAYERS = ["AETNA", "BCBS", "CIGNA", "HUMANA", "KAISER", "MEDICAID", "MEDICARE", "UHC", "SELF", "MOLINA"]
ACCENTED_PAYER = "SANTÉ PLUS"
PAYER_TYPES = {"MEDICAID": "Government", "MEDICARE": "Government", "SELF": "Self-pay"}
