from helpers.files import VariablesPlugin


class SystemVariables(VariablesPlugin):
    def get_variables(self, file, backup_dirs=None):
        return {"agent_role": "a scripted agent"}
