/* reference.c - see reference.h. */
#include "transform/reference.h"

#include "transform/code.h"
#include "transform/code_group.h"

const ReferenceKind REFERENCE_KINDS[REFERENCES] = {
    [REFERENCE_NPI] = {.name = "npi", .subject = "the NPI registry", .is_formed = npi_check_digit_is_valid},
    [REFERENCE_ICD10] = {"icd10", "the ICD-10-CM list", "ICD10CM", "diagnoses", "diagnosis_key", "chapter",
                         icd10_is_formed, icd10_chapter},
    [REFERENCE_HCPCS] = {"hcpcs", "the HCPCS list", "HCPCS", "procedures", "procedure_key", "category",
                         hcpcs_is_formed, hcpcs_section},
};
