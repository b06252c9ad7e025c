/* code_group.c - see code_group.h. */
#include "transform/code_group.h"

/* Both ends included, compared as far as they are written. */
typedef struct CodeRange {
    const char *first, *last, *name;
} CodeRange;

static const CodeRange CHAPTERS[] = {
    {"A00", "B99", "Certain infectious and parasitic diseases"},
    {"C00", "D49", "Neoplasms"},
    {"D50", "D89", "Diseases of the blood and blood-forming organs and certain disorders involving the immune mechanism"},
    {"E00", "E89", "Endocrine, nutritional and metabolic diseases"},
    {"F01", "F99", "Mental, Behavioral and Neurodevelopmental disorders"},
    {"G00", "G99", "Diseases of the nervous system"},
    {"H00", "H59", "Diseases of the eye and adnexa"},
    {"H60", "H95", "Diseases of the ear and mastoid process"},
    {"I00", "I99", "Diseases of the circulatory system"},
    {"J00", "J99", "Diseases of the respiratory system"},
    {"K00", "K95", "Diseases of the digestive system"},
    {"L00", "L99", "Diseases of the skin and subcutaneous tissue"},
    {"M00", "M99", "Diseases of the musculoskeletal system and connective tissue"},
    {"N00", "N99", "Diseases of the genitourinary system"},
    {"O00", "O9A", "Pregnancy, childbirth and the puerperium"},
    {"P00", "P96", "Certain conditions originating in the perinatal period"},
    {"Q00", "Q99", "Congenital malformations, deformations and chromosomal abnormalities"},
    {"R00", "R99", "Symptoms, signs and abnormal clinical and laboratory findings, not elsewhere classified"},
    {"S00", "T88", "Injury, poisoning and certain other consequences of external causes"},
    {"U00", "U85", "Codes for special purposes"},
    {"V00", "Y99", "External causes of morbidity"},
    {"Z00", "Z99", "Factors influencing health status and contact with health services"},
};

static const CodeRange SECTIONS[] = {
    {"A0", "A0", "Transportation Services Including Ambulance"},
    {"A4", "A8", "Medical and Surgical Supplies"},
    {"A9", "A9", "Administrative, Miscellaneous and Investigational"},
    {"B", "B", "Enteral and Parenteral Therapy"},
    {"C", "C", "Outpatient PPS"},
    {"D", "D", "Dental Procedures"},
    {"E", "E", "Durable Medical Equipment"},
    {"G", "G", "Procedures and Professional Services"},
    {"H", "H", "Alcohol and Drug Abuse Treatment Services"},
    {"J0", "J84", "Drugs Administered Other Than Oral Method"},
    {"J85", "J9", "Chemotherapy Drugs"},
    {"K", "K", "Durable Medical Equipment, Temporary Codes"},
    {"L0", "L4", "Orthotic Procedures"},
    {"L5", "L9", "Prosthetic Procedures"},
    {"M", "M", "Medical Services"},
    {"P", "P", "Pathology and Laboratory Services"},
    {"Q", "Q", "Temporary Codes"},
    {"R", "R", "Diagnostic Radiology Services"},
    {"S", "S", "Temporary National Codes (Non-Medicare)"},
    {"T", "T", "National Codes Established for State Medicaid Agencies"},
    {"U", "U", "Coronavirus Diagnostic Panel"},
    {"V", "V", "Vision and Hearing Services"},
};

static int compare(Str code, const char *edge) {
    size_t size = strlen(edge);
    return strncmp(code.at, edge, code.size < size ? code.size : size);
}

static Str find(Str code, const CodeRange *ranges, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (compare(code, ranges[i].first) >= 0 && compare(code, ranges[i].last) <= 0)
            return str_of(ranges[i].name);
    return STR_NULL;
}

Str icd10_chapter(Str code) {
    return code.size < 3 ? STR_NULL : find(code, CHAPTERS, sizeof CHAPTERS / sizeof *CHAPTERS);
}

Str hcpcs_section(Str code) {
    return code.size < 3 ? STR_NULL : find(code, SECTIONS, sizeof SECTIONS / sizeof *SECTIONS);
}
