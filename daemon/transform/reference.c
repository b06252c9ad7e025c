/* reference.c - see reference.h. */
#include "transform/reference.h"

#include "transform/code.h"
#include "transform/code_group.h"

static const ListFormat CODES = {
    .columns = {[CODE_CODE] = {"code", true}, [CODE_DESCRIPTION] = {"description", true}, [CODE_CATEGORY] = {"category"}},
    .n = 3};
static const ListFormat PAYERS = {
    .columns = {[PAYER_ALIAS] = {"alias", true}, [PAYER_NAME] = {"payer_name", true}, [PAYER_TYPE] = {"payer_type"},
                [PAYER_SOURCE] = {"source_system"}},
    .n = 4};

const ReferenceKind REFERENCE_KINDS[REFERENCES] = {
    [REFERENCE_NPI] = {.name = "npi", .subject = "the NPI registry", .is_formed = npi_check_digit_is_valid},
    [REFERENCE_ICD10] = {"icd10", "the ICD-10-CM list", "ICD10CM", "diagnoses", "diagnosis_key", "chapter",
                         icd10_is_formed, icd10_chapter},
    [REFERENCE_HCPCS] = {"hcpcs", "the HCPCS list", "HCPCS", "procedures", "procedure_key", "category",
                         hcpcs_is_formed, hcpcs_section},
    [REFERENCE_CPT] = {"cpt", "the CPT file", "CPT", "procedures", "procedure_key", "category", .format = &CODES},
    [REFERENCE_CARC] = {"carc", "the file of reason codes", "CARC", "adjustment_codes", "adjustment_code_key", "category",
                        .format = &CODES},
    [REFERENCE_RARC] = {"rarc", "the file of remark codes", "RARC", "adjustment_codes", "adjustment_code_key", "category",
                        .format = &CODES},
    [REFERENCE_PAYERS] = {.name = "payers", .subject = "the payers' file", .format = &PAYERS},
};
